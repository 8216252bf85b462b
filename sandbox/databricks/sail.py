"""`python -m sandbox.databricks.sail`: the Spark Connect server, ended with its parent."""

import json
import signal

from pysail.spark import SparkConnectServer


def main() -> None:
    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    print(json.dumps({"port": server.listening_address[1]}), flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    main()
