"""How a plan becomes Airflow. The only folder that imports Airflow."""
