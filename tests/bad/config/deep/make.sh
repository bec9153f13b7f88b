{ printf '{"a": '; head -c 1000 /dev/zero | tr '\000' '['; } >config.json
