"""Runs the queries of the benchmark in DuckDB: duck.py VISITS.csv LAST_DAY.

Prints a line per query: its name, a tab, and the median of three durations in seconds.
"""

import datetime
import statistics
import sys
import time

import duckdb

path, last = sys.argv[1], datetime.date.fromisoformat(sys.argv[2])
connection = duckdb.connect()
connection.execute("create table visit as select * from read_csv(?)", [path])

REPORTS = {"summary": "null", "page": "page", "city": "city"}
FILTERS = {"": "true", ", country=C1": "country = 'C1'", ", page=/p/1*": "page like '/p/1%'"}

for name, condition in FILTERS.items():
    for days in (1, 7, 90):
        # The last day is still open and excluded, as in the reports.
        end = last
        start = end - datetime.timedelta(days=days)
        for report, value in REPORTS.items():
            query = f"""
                select {value}, count(*), count(distinct (visitor_id, "at"::date)),
                    count(distinct session_id),
                    count(distinct session_id) filter (where session_visits = 1)
                from visit
                where "at" >= ? and "at" < ? and not is_bot and {condition}
                group by 1 order by 3 desc limit 50"""
            times = []
            for _ in range(3):
                begun = time.perf_counter()
                connection.execute(query, [start, end]).fetchall()
                times.append(time.perf_counter() - begun)
            print(f"{report}, {days} days{name}\t{statistics.median(times):.6f}")
