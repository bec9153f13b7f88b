mkdir ops.csv
