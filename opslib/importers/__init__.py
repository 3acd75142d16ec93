"""One file per kind of source: each turns a raw file into staged Parquet whose rows know their line."""
