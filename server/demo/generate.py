"""Makes the demo's sample data, the same bytes of rows at every run. Needs pyarrow; run it in this folder.

One small business, a coffee roaster by a harbour, with its data where such data end up: customers in the shop's SQLite
database, the price list in a CSV file, orders in Parquet files by year, shipments in the carrier's JSON lines.
"""

import csv
import datetime
import decimal
import json
import random
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

RANDOM = random.Random(1492)
FIRST = "Ada Bram Carla Deniz Elif Femke Goran Hana Imre Jonas Katja Liam Mina Noor Oscar Pia Quentin Rosa Sami Tove".split()
LAST = "Almeida Berg Castillo Dekker Eriksen Fontaine Gruber Haas Ivanova Jansen Keller Lindqvist Moreau Novak".split()
CITIES = [("Rotterdam", "NL"), ("Hamburg", "DE"), ("Antwerp", "BE"), ("Bergen", "NO"), ("Gdańsk", "PL"), ("Porto", "PT")]
PRODUCTS = [
    ("ESP-250", "Harbour Espresso 250 g", "beans", "7.90", True),
    ("ESP-1000", "Harbour Espresso 1 kg", "beans", "27.50", True),
    ("FIL-250", "Morning Filter 250 g", "beans", "6.90", False),
    ("FIL-1000", "Morning Filter 1 kg", "beans", "23.90", False),
    ("DEC-250", "Quiet Night Decaf 250 g", "beans", "8.40", True),
    ("GRN-5000", "Green beans, 5 kg", "wholesale", "61.00", False),
    ("V60-02", "Pour-over dripper", "equipment", "24.00", None),
    ("KET-900", "Gooseneck kettle 0.9 l", "equipment", "69.00", None),
    ("MUG-HRB", "Harbour mug", "gifts", "12.00", None),
    ("SUB-M", "Subscription, monthly", "service", "18.00", None),
]
CUSTOMERS = 240
ORDERS = 4000


def customers():
    path = Path("shop.db")
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    database.execute(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, city TEXT NOT NULL,"
        " country TEXT NOT NULL, customer_since DATE NOT NULL)"
    )
    for number in range(1, CUSTOMERS + 1):
        name = f"{RANDOM.choice(FIRST)} {RANDOM.choice(LAST)}"
        city, country = RANDOM.choice(CITIES)
        email = None if number % 17 == 0 else f"{name.split()[0].lower()}.{number}@example.com"
        since = datetime.date(2021, 1, 4) + datetime.timedelta(days=RANDOM.randrange(1500))
        database.execute("INSERT INTO customers VALUES (?,?,?,?,?,?)", (number, name, email, city, country, since.isoformat()))
    database.commit()
    database.execute("VACUUM")
    database.close()


def products():
    with open("products.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["sku", "name", "category", "price", "organic"])
        for sku, name, category, price, organic in PRODUCTS:
            writer.writerow([sku, name, category, price, "" if organic is None else str(organic).lower()])


def orders():
    schema = pa.schema([
        ("order_id", pa.int64()),
        ("customer_id", pa.int64()),
        ("sku", pa.string()),
        ("quantity", pa.int32()),
        ("unit_price", pa.decimal128(8, 2)),
        ("ordered_at", pa.timestamp("us", tz="UTC")),
    ])
    years = {2024: [], 2025: []}
    when = datetime.datetime(2024, 1, 2, 7, tzinfo=datetime.timezone.utc)
    for number in range(1, ORDERS + 1):
        when += datetime.timedelta(seconds=RANDOM.randrange(600, 29000))
        if when.year not in years:
            break
        sku, _, _, price, _ = RANDOM.choices(PRODUCTS, weights=[9, 5, 8, 4, 3, 1, 2, 1, 3, 4])[0]
        years[when.year].append({
            "order_id": number,
            "customer_id": RANDOM.randrange(1, CUSTOMERS + 1),
            "sku": sku,
            "quantity": RANDOM.choices([1, 2, 3, 4, 6], weights=[10, 5, 2, 1, 1])[0],
            "unit_price": decimal.Decimal(price),
            "ordered_at": when,
        })
    for year, rows in years.items():
        folder = Path(f"orders/year={year}")
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), folder / "part-0.parquet", compression="zstd")
    return [row for rows in years.values() for row in rows]


def shipments(rows):
    with open("shipments.jsonl", "w") as file:
        for row in rows:
            if row["sku"] == "SUB-M" or RANDOM.random() < 0.03:
                continue
            shipped = row["ordered_at"] + datetime.timedelta(hours=RANDOM.randrange(2, 50))
            delivered = None if RANDOM.random() < 0.04 else shipped + datetime.timedelta(hours=RANDOM.randrange(16, 120))
            file.write(json.dumps({
                "order_id": row["order_id"],
                "carrier": RANDOM.choice(["Noordzee Post", "Fjordfrakt", "Parcel 24"]),
                "shipped_at": shipped.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "delivered_at": delivered and delivered.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "weight_kg": round(0.2 + RANDOM.random() * row["quantity"], 2),
            }) + "\n")


customers()
products()
shipments(orders())
