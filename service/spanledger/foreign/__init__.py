"""What others supply and we run or expand: patterns, schemas, files, decimals. Each is bounded in one place here.

- `process`: patterns, schemas and files are tried in a process with little memory and time, which is killed.
- `files`: text of PDF and DOCX files, read in such a process.
- `checks`: what that process does; no reference leads out of a schema.
- `amounts`: decimal numbers whose digits can be written down.
"""
