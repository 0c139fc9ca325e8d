"""Multiplies a database's images inside the database, for the question whether cost grows with their number.

    fill.py URL TIMES     each image becomes TIMES images, with their tags and properties

Copies differ in the id (its first eight digits) and lie further in the past, each round before the one before.
Runs in the environment of the service, with the tables of the driver ``sql``.
"""

from __future__ import annotations

import sys

from sqlalchemy import Connection, MetaData, Table, create_engine, text

#: Parents first. Tables that hold no image-bound rows are left as they are.
TABLES = ("images", "image_facets", "image_locations", "image_members")
SPREAD = 2654435761  # Knuth's multiplier: consecutive rounds get ids far apart, as random ones are


def multiply(connection: Connection, times: int) -> int:
    metadata = MetaData()
    metadata.reflect(connection, only=TABLES)
    mysql = connection.dialect.name in ("mysql", "mariadb")
    connection.execute(text("create temporary table bench_seed (id varchar(36) primary key)"))
    connection.execute(text("insert into bench_seed select id from images"))
    first, last = connection.execute(text("select min(created_at), max(created_at) from images")).one()
    step = int(last) - int(first) + 1_000_000

    def insert(table: Table) -> str:
        names = [f"`{column.name}`" if mysql else f'"{column.name}"' for column in table.columns]
        values = []
        for column, name in zip(table.columns, names, strict=True):
            if column.name in ("id", "image_id"):
                values.append(f"concat(:prefix, substr({name}, 9))" if mysql else f":prefix || substr({name}, 9)")
            elif column.name.endswith(("created_at", "updated_at")):
                values.append(f"{name} - :shift")
            else:
                values.append(name)
        key = "id" if "id" in table.columns else "image_id"
        return (
            f"insert into {table.name} ({', '.join(names)}) select {', '.join(values)} from {table.name} "
            f"where {key} in (select id from bench_seed)"
        )

    statements = [text(insert(metadata.tables[name])) for name in TABLES]
    for at in range(1, times):
        for statement in statements:
            connection.execute(statement, {"prefix": f"{at * SPREAD % (1 << 32):08x}", "shift": at * step})
        if at % 20 == 0:
            connection.commit()
    connection.execute(text("drop table bench_seed"))
    connection.commit()
    return int(connection.execute(text("select count(*) from images")).scalar_one())


def main(url: str, times: str) -> None:
    with create_engine(url).connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("pragma synchronous = off"))
        print(multiply(connection, int(times)))
        if connection.dialect.name == "postgresql":
            connection.execute(text("analyze"))
            connection.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
