"""The bakery: a small but complete Starlake project, with the files that come in day by day.

The project itself is in the folder ``starbake`` next to this module. This module generates its data, always the same for the same day, and the rows
that each table should hold afterwards. It computes them in plain Python, without a database, so that they can prove an engine wrong.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

__all__ = ["FIRST_DAYS", "INCOMING", "data_files", "expected_tables", "project_files", "write_bakery"]

FIRST_DAYS = 2
"""The bakery starts with the files of two days. The files of later days arrive one day at a time."""
INCOMING = "datasets/incoming/starbake"
"""Where files arrive, in the folder of the project."""

_PROJECT = Path(__file__).parent / "starbake"
_BEGIN = date(2026, 11, 1)
_ORDERS = 400
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
    """Return a value as it is written in data files."""
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


def json_array(records: Iterable[Any]) -> str:
    rows = ",\n  ".join(
        json.dumps({name: plain(value) for name, value in asdict(record).items()}, ensure_ascii=False)
        for record in records
    )
    return f"[\n  {rows}\n]\n"


def json_lines(records: Iterable[Any]) -> str:
    return "".join(
        json.dumps({name: plain(value) for name, value in asdict(record).items()}) + "\n" for record in records
    )


_WRONG = {
    25: ["not-a-number", "Nobody", "Nowhere", "", "", "2025-01-01"],
    80: ["901", "Zoé", "Leblanc", "zoe(at)example.com", "Paris", "2025-02-03"],
    140: ["902", "Max", "Stone", "max@example.com", "Berlin", "31/12/2025"],
    141: ["903", "", "Anonymous", "", "", "2025-05-05"],
}
"""Rows of the first customers file that are wrong on purpose, by row number."""


def customers_csv(customers: Sequence[Customer], wrong: Mapping[int, Sequence[str]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(list(asdict(customers[0])))
    number, waiting = 0, list(customers)
    while waiting:
        number += 1
        if number in wrong:
            writer.writerow(wrong[number])
        else:
            writer.writerow(["" if value is None else plain(value) for value in asdict(waiting.pop(0)).values()])
    return buffer.getvalue()


@dataclass(frozen=True)
class Day:
    """The files that arrive on one day, and the data of the bakery at the end of that day.

    Attributes:
        files: name to content.
        customers, ingredients, products: all of them, as they are now.
        orders: those of the day.
    """

    files: Mapping[str, str]
    customers: tuple[Customer, ...]
    ingredients: tuple[Ingredient, ...]
    products: tuple[Product, ...]
    orders: tuple[OrderLine, ...]


def _days() -> Iterator[Day]:
    rng = random.Random(20261101)
    customers, ingredients = tuple(make_customers(rng)), tuple(make_ingredients(rng))
    products = tuple(make_products(rng, ingredients))
    for index in range(FIRST_DAYS):
        day = _BEGIN + timedelta(days=index)
        orders = tuple(make_orders(rng, day, 1 + _ORDERS * index, _ORDERS, customers, products))
        files = {f"orders-{day}.json": json_lines(orders)}
        if index == 0:
            files[f"customers-{day}.csv"] = customers_csv(customers, _WRONG)
            files[f"ingredients-{day}.json"] = json_array(ingredients)
            files[f"products-{day}.json"] = json_array(products)
        yield Day(files, customers, ingredients, products, orders)
    while True:
        index += 1
        latest = _next_day(index, customers, ingredients, products)
        customers, ingredients, products = latest.customers, latest.ingredients, latest.products
        yield latest


def _next_day(
    index: int, customers: Sequence[Customer], ingredients: Sequence[Ingredient], products: Sequence[Product]
) -> Day:
    """Return a later day: new orders, new customers, customers who moved, a new product and new prices."""
    day = _BEGIN + timedelta(days=index)
    rng = random.Random(f"starbake {day}")
    moved = {one.id: replace(one, city=rng.choice(CITIES)) for one in rng.sample(list(customers), 3)}
    came = []
    for number in range(len(customers) + 1, len(customers) + 6):
        email = f"customer{number}@example.com"
        came.append(Customer(number, rng.choice(FIRST), rng.choice(LAST), email, rng.choice(CITIES), day))
    dearer = {one.id: replace(one, price=one.price + Decimal("0.10")) for one in rng.sample(list(products), 2)}
    ingredient = rng.choice(ingredients)
    kind = rng.choice(sorted(KINDS))
    name = f"{ingredient.name.capitalize()} {rng.choice(KINDS[kind])}"
    invented = Product(len(products) + 1, name, kind, Decimal(rng.randrange(90, 3000)) / 100, ingredient.id)
    costs = {one.id: one.price_per_unit + Decimal("0.05") for one in rng.sample(list(ingredients), 4)}

    all_customers = (*(moved.get(one.id, one) for one in customers), *came)
    all_ingredients = tuple(replace(one, price_per_unit=costs.get(one.id, one.price_per_unit)) for one in ingredients)
    all_products = (*(dearer.get(one.id, one) for one in products), invented)
    orders = tuple(make_orders(rng, day, 1 + _ORDERS * index, _ORDERS, all_customers, all_products))
    files = {
        f"orders-{day}.json": json_lines(orders),
        f"customers-{day}.csv": customers_csv([*moved.values(), *came], {}),
        f"ingredients-{day}.json": json_array(all_ingredients),
        f"products-{day}.json": json_array([*dearer.values(), invented]),
    }
    return Day(files, all_customers, all_ingredients, all_products, orders)


@functools.cache
def _until(days: int) -> tuple[Day, ...]:
    return tuple(itertools.islice(_days(), days))


def data_files(day: int) -> dict[str, bytes]:
    """Return the files that arrive on a day.

    Args:
        day: the number of the day, from 1.

    Returns:
        Name of the file to what it holds.
    """
    return {name: text.encode() for name, text in sorted(_until(day)[-1].files.items())}


def project_files() -> dict[str, bytes]:
    """Return the files of the project itself: their contents, by path below its folder."""
    found = (path for path in sorted(_PROJECT.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(_PROJECT).as_posix(): path.read_bytes() for path in found}


def write_bakery(root: Path, days: int = FIRST_DAYS) -> None:
    """Write the project and its incoming files, and overwrite existing files.

    Args:
        root: the folder of the project; created if it does not exist.
        days: the number of days whose files have arrived.
    """
    files = project_files()
    for day in range(1, days + 1):
        files.update((f"{INCOMING}/{name}", content) for name, content in data_files(day).items())
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def shown(value: Any) -> str | None:
    """Return a value as DuckDB casts it to text."""
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


def _overview(sales: Sequence[Sequence[Any]], value: Sequence[Sequence[Any]]) -> list[Any]:
    best = max(value, key=lambda row: (row[3], -row[0]))
    revenue = sum((row[5] for row in sales), Decimal(0))
    return [len(sales), sum(row[4] for row in sales), revenue, len(value), best[1]]


def expected_tables(days: int = FIRST_DAYS) -> dict[str, dict[str, Any]]:
    """Return the rows that each table holds after some days, with each value as DuckDB casts it to text.

    Args:
        days: the number of days whose files have arrived. The transforms ran once after the first two days, and once after each later day.

    Returns:
        Name of the table to its ``columns`` and ``rows``; ``kpi.overview`` without its two columns of the interval.
    """
    past = _until(days)
    now = past[-1]
    overviews: list[list[Any]] = []
    lines: list[OrderLine] = []
    for index, day in enumerate(past):
        lines.extend(day.orders)
        sales, value = product_sales(lines, day.products), customer_value(lines, day.customers)
        if index >= min(FIRST_DAYS, days) - 1:
            overviews.append(_overview(sales, value))
    rejected = [[f"customers-{_BEGIN}.csv", number] for number in _WRONG]
    return {
        "starbake.Customers": records(now.customers),
        "starbake.Ingredients": records(now.ingredients),
        "starbake.Orders": records(lines),
        "starbake.Products": records(now.products),
        "kpi.product_sales": table(["product_id", "product", "category", "orders", "sold", "revenue"], sales),
        "kpi.customer_value": table(["customer_id", "customer", "orders", "spent", "last_order_at"], value),
        "kpi.overview": table(["products", "sold", "revenue", "customers", "best_customer"], overviews),
        "starlake_core.rejected": table(["file", "row_number"], rejected),
    }
