"""Runs the statements of one peer that is a library: a JSON request a line in, a JSON answer a line out.

Requests: {"run": [statements]}, {"ask": statement, "seconds": bound}, {"drain": statement, "seconds": bound}.
Answers: {"seconds": time, "rows": [[text or null]], "count": rows} or {"error": text}. A drained result is read and
dropped, and only counted.
"""

import json
import os
import sys
import threading
import time

DRAIN_ROWS = 100_000
MESSAGE_MAX = 400


class DuckDb:
    def __init__(self, extensions):
        import duckdb

        self.connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
        for path in extensions:
            self.connection.execute("LOAD '" + path + "'")

    def run(self, statement):
        self.connection.execute(statement)

    def ask(self, statement, seconds, drain):
        timer = threading.Timer(seconds, self.connection.interrupt)
        timer.start()
        try:
            cursor = self.connection.execute(statement)
            if not drain:
                rows = cursor.fetchall()
                return rows, len(rows)
            count = 0
            while rows := cursor.fetchmany(DRAIN_ROWS):
                count += len(rows)
            return [], count
        finally:
            timer.cancel()


class ChDb:
    def __init__(self, _extensions):
        from chdb import session

        self.session = session.Session()

    def run(self, statement):
        self.session.query(statement)

    def ask(self, statement, seconds, drain):
        self.session.query(f"SET max_execution_time = {int(seconds)}")
        if drain:
            raise NotImplementedError("a result is one piece here")
        text = str(self.session.query(statement.rstrip().rstrip(";"), "JSONCompactEachRow"))
        rows = [json.loads(line) for line in text.splitlines()]
        return rows, len(rows)


def shown(value):
    return None if value is None else str(value)


def answer(peer, request):
    for statement in request.get("run", []):
        peer.run(statement)
    statement = request.get("ask") or request.get("drain")
    if not statement:
        return {"seconds": 0.0, "rows": [], "count": 0}
    begun = time.perf_counter()
    rows, count = peer.ask(statement, request["seconds"], "drain" in request)
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "rows": [[shown(value) for value in row] for row in rows], "count": count}


def main():
    # Libraries print too, for example how far they are: only answers go out.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    peer = {"duckdb": DuckDb, "chdb": ChDb}[sys.argv[1]](sys.argv[2:])
    for line in sys.stdin:
        try:
            reply = answer(peer, json.loads(line))
        except Exception as error:  # whatever the library raises is the answer
            reply = {"error": " ".join(str(error).split())[:MESSAGE_MAX]}
        print(json.dumps(reply), file=answers, flush=True)


main()
