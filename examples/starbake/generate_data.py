"""Writes the data files of the example, and the rows that the tables should hold after loading them.

The same files every time. The expected rows are computed here in plain Python, so that they can prove an
engine wrong. Run it again to get back the files that a run of the example has moved away.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FIRST = ["Amélie", "Björn", "Chloé", "Dario", "Elif", "Farah", "Giulia", "Hugo", "Inès", "Jonas", "Katarzyna", "Liam"]
LAST = ["Martin", "O'Brien", "Müller", "Rossi", "García", "Nguyễn", "Smith, Jr.", "Kowalska", "de Vries", "Öztürk"]
CITIES = ["Paris", "Lyon", "Berlin", "Milano", "San Sebastián", "Łódź", "Gent", None]
INGREDIENT_NAMES = """
flour rye spelt oats butter milk cream eggs sugar honey salt yeast vanilla cinnamon cardamom cocoa chocolate almonds
hazelnuts walnuts pistachios sesame poppy raisins apples pears cherries apricots lemons oranges blueberries raspberries
ricotta mascarpone cheddar olives rosemary tomatoes ham coffee
"""
ALLERGENS = {"flour", "rye", "spelt", "butter", "milk", "cream", "eggs", "almonds", "hazelnuts", "walnuts", "sesame"}
KINDS = {"bread": ["Loaf", "Roll", "Baguette"], "pastry": ["Croissant", "Danish", "Bun"], "cake": ["Tart", "Cake"]}


@dataclass(frozen=True)
class Customer:
    id: int
    first_name: str
    last_name: str
    email: str | None
    city: str | None
    join_date: date


@dataclass(frozen=True)
class Ingredient:
    id: int
    name: str
    unit: str
    price_per_unit: Decimal
    allergen: bool


@dataclass(frozen=True)
class Product:
    id: int
    name: str
    category: str
    price: Decimal
    main_ingredient_id: int | None


@dataclass(frozen=True)
class OrderLine:
    order_id: int
    line: int
    customer_id: int
    product_id: int
    quantity: int
    unit_price: Decimal
    status: str
    ordered_at: datetime


def make_customers(rng: random.Random) -> list[Customer]:
    customers = []
    for number in range(1, 201):
        first, last = rng.choice(FIRST), rng.choice(LAST)
        email = f"customer{number}@example.com" if rng.random() < 0.9 else None
        joined = date(2024, 1, 1) + timedelta(days=rng.randrange(900))
        customers.append(Customer(number, first, last, email, rng.choice(CITIES), joined))
    return customers


def make_ingredients(rng: random.Random) -> list[Ingredient]:
    return [
        Ingredient(
            number, name, rng.choice(["kg", "l", "piece"]), Decimal(rng.randrange(20, 2500)) / 100, name in ALLERGENS
        )
        for number, name in enumerate(INGREDIENT_NAMES.split(), start=1)
    ]


def make_products(rng: random.Random, ingredients: Sequence[Ingredient]) -> list[Product]:
    products = []
    for number in range(1, 31):
        category = rng.choice(sorted(KINDS))
        ingredient = rng.choice(ingredients)
        name = f"{ingredient.name.capitalize()} {rng.choice(KINDS[category])}"
        main = ingredient.id if rng.random() < 0.95 else None
        products.append(Product(number, name, category, Decimal(rng.randrange(90, 3000)) / 100, main))
    return products


def make_orders(
    rng: random.Random,
    day: date,
    first_id: int,
    orders: int,
    customers: Sequence[Customer],
    products: Sequence[Product],
) -> list[OrderLine]:
    lines = []
    for order_id in range(first_id, first_id + orders):
        moment = datetime(day.year, day.month, day.day, 6) + timedelta(seconds=rng.randrange(12 * 3600))
        customer = rng.choice(customers)
        status = rng.choices(["delivered", "paid", "cancelled"], weights=[8, 3, 1])[0]
        for line in range(1, rng.randrange(1, 5) + 1):
            product = rng.choice(products)
            quantity = rng.randrange(1, 7)
            lines.append(OrderLine(order_id, line, customer.id, product.id, quantity, product.price, status, moment))
    return lines


def plain(value: Any) -> Any:
    """A value as the data files write it."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


def write_json_array(path: Path, records: Iterable[Any]) -> None:
    rows = ",\n  ".join(
        json.dumps({name: plain(value) for name, value in asdict(record).items()}, ensure_ascii=False)
        for record in records
    )
    path.write_text(f"[\n  {rows}\n]\n", encoding="utf-8")


def write_json_lines(path: Path, records: Iterable[Any]) -> None:
    with path.open("w", encoding="utf-8") as target:
        for record in records:
            target.write(json.dumps({name: plain(value) for name, value in asdict(record).items()}) + "\n")


def write_customers(path: Path, customers: Sequence[Customer]) -> list[int]:
    """Write the CSV file with some wrong rows in it; return the numbers of those."""
    wrong = {
        25: ["not-a-number", "Nobody", "Nowhere", "", "", "2025-01-01"],
        80: ["901", "Zoé", "Leblanc", "zoe(at)example.com", "Paris", "2025-02-03"],
        140: ["902", "Max", "Stone", "max@example.com", "Berlin", "31/12/2025"],
        141: ["903", "", "Anonymous", "", "", "2025-05-05"],
    }
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(list(asdict(customers[0])))
    number, rejected, waiting = 0, [], list(customers)
    while waiting:
        number += 1
        if number in wrong:
            rejected.append(number)
            writer.writerow(wrong[number])
        else:
            writer.writerow(["" if value is None else plain(value) for value in asdict(waiting.pop(0)).values()])
    path.write_text(buffer.getvalue(), encoding="utf-8")
    return rejected


def shown(value: Any) -> str | None:
    """A value as DuckDB casts it to text."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return f"{value:.2f}"
    return str(value).lower() if isinstance(value, bool) else str(value)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    return {"columns": list(columns), "rows": [[shown(value) for value in row] for row in rows]}


def records(items: Sequence[Any]) -> dict[str, Any]:
    return table(list(asdict(items[0])), [list(asdict(item).values()) for item in items])


def product_sales(lines: Sequence[OrderLine], products: Sequence[Product]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for product in products:
        own = [line for line in lines if line.product_id == product.id and line.status != "cancelled"]
        if own:
            revenue = sum((line.quantity * line.unit_price for line in own), Decimal(0))
            orders, sold = len({line.order_id for line in own}), sum(line.quantity for line in own)
            rows.append([product.id, product.name, product.category, orders, sold, revenue])
    return rows


def customer_value(lines: Sequence[OrderLine], customers: Sequence[Customer]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for customer in customers:
        own = [line for line in lines if line.customer_id == customer.id and line.status != "cancelled"]
        if own:
            spent = sum((line.quantity * line.unit_price for line in own), Decimal(0))
            name = f"{customer.first_name} {customer.last_name}"
            rows.append(
                [customer.id, name, len({line.order_id for line in own}), spent, max(line.ordered_at for line in own)]
            )
    return rows


def main() -> None:
    rng = random.Random(20261101)
    incoming = HERE / "datasets" / "incoming" / "starbake"
    incoming.mkdir(parents=True, exist_ok=True)
    customers, ingredients = make_customers(rng), make_ingredients(rng)
    products = make_products(rng, ingredients)
    days = [date(2026, 11, 1), date(2026, 11, 2)]
    orders = [make_orders(rng, day, 1 + 400 * index, 400, customers, products) for index, day in enumerate(days)]
    rejected = write_customers(incoming / "customers-2026-11-01.csv", customers)
    write_json_array(incoming / "ingredients-2026-11-01.json", ingredients)
    write_json_array(incoming / "products-2026-11-01.json", products)
    for day, lines in zip(days, orders, strict=True):
        write_json_lines(incoming / f"orders-{day}.json", lines)

    every_line = [line for lines in orders for line in lines]
    sales, value = product_sales(every_line, products), customer_value(every_line, customers)
    best = max(value, key=lambda row: (row[3], -row[0]))
    overview = [
        len(sales),
        sum(row[4] for row in sales),
        sum((row[5] for row in sales), Decimal(0)),
        len(value),
        best[1],
    ]
    expected = {
        "starbake.Customers": records(customers),
        "starbake.Ingredients": records(ingredients),
        "starbake.Orders": records(every_line),
        "starbake.Products": records(products),
        "kpi.product_sales": table(["product_id", "product", "category", "orders", "sold", "revenue"], sales),
        "kpi.customer_value": table(["customer_id", "customer", "orders", "spent", "last_order_at"], value),
        "kpi.overview": table(["products", "sold", "revenue", "customers", "best_customer"], [overview]),
        "audit.rejected": table(["file", "row_number"], [["customers-2026-11-01.csv", number] for number in rejected]),
    }
    blocks = []
    for name, content in expected.items():
        rows = ",\n".join(f"      {json.dumps(row, ensure_ascii=False)}" for row in content["rows"])
        columns = json.dumps(content["columns"])
        blocks.append(f'  "{name}": {{\n    "columns": {columns},\n    "rows": [\n{rows}\n    ]\n  }}')
    (HERE / "expected.json").write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
