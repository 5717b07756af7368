"""What others supply and we run or expand: patterns, schemas, decimal numbers. Each kind is bounded in one place here.

- `process`: patterns and schemas are compiled and tried in a process with little memory and time, which is killed.
- `checks`: what that process does; no reference leads out of a schema.
- `amounts`: decimal numbers whose digits can be written down.
"""
