SELECT p.id AS product_id,
       p.name AS product,
       p.category,
       count(DISTINCT o.order_id) AS orders,
       CAST(sum(o.quantity) AS BIGINT) AS sold,
       CAST(sum(o.quantity * o.unit_price) AS DECIMAL(12, 2)) AS revenue
FROM starbake.orders AS o
JOIN starbake.products AS p ON p.id = o.product_id
WHERE o.status <> 'cancelled'
GROUP BY ALL
ORDER BY product_id
