head -c 17000000 /dev/zero | tr '\000' ' ' >config.json
