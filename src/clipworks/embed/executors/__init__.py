"""Where partitions are made: processes beside this one, a Ray or a Spark cluster."""
