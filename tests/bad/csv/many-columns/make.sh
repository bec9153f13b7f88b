seq -s, 1 300 >ops.csv
