# The production image: Airflow as published, plus this project's package, DAG loaders, contracts and tenant files.
FROM apache/airflow:3.3.2-python3.12

USER root
# What the SQL Server driver loads at its first connection
RUN apt-get update \
    && apt-get install -y --no-install-recommends libltdl7 libkrb5-3 libgssapi-krb5-2 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/*
USER airflow

# Naming Airflow's own version again keeps pip from ever replacing the base image's Airflow by another one;
# requirements.txt was resolved together with it, and pip check proves that nothing was left out of step.
COPY --chown=airflow:root requirements.txt /opt/airflow/
RUN pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" -r /opt/airflow/requirements.txt \
    && pip check

COPY --chown=airflow:root pyproject.toml README.md LICENSE NOTICE /opt/airflow/
COPY --chown=airflow:root plugins /opt/airflow/plugins
COPY --chown=airflow:root include /opt/airflow/include
COPY --chown=airflow:root dags /opt/airflow/dags
COPY --chown=airflow:root config /opt/airflow/config
# Editable: one copy of the package, seen by the plugins folder, the tenantdags command and the provider entry point
RUN pip install --no-cache-dir --no-deps -e /opt/airflow

# Every component imports the bundle class and the timetable, so the package is on all their paths.
ENV PYTHONPATH=/opt/airflow/plugins \
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST='[{"name": "tenants", "classpath": "tenantdags.dag.bundle.TenantBundle", "kwargs": {"root": "/opt/airflow"}}]' \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__CORE__DAGBAG_IMPORT_ERROR_TRACEBACKS=False \
    AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL=0 \
    MSSQL_PYTHON_NATIVE_PROVIDER=msodbcsql18 \
    SODA_CORE_TELEMETRY_ENABLED=false \
    DO_NOT_TRACK=1 \
    SCARF_NO_ANALYTICS=true
