SELECT c.id AS customer_id,
       concat(c.first_name, ' ', c.last_name) AS customer,
       count(DISTINCT o.order_id) AS orders,
       CAST(sum(o.quantity * o.unit_price) AS DECIMAL(12, 2)) AS spent,
       max(o.ordered_at) AS last_order_at
FROM starbake.orders AS o
JOIN starbake.customers AS c ON c.id = o.customer_id
WHERE o.status <> 'cancelled'
GROUP BY ALL
ORDER BY customer_id
