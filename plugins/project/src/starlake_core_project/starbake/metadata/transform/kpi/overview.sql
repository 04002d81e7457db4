-- One row for each run: how the bakery stands at the end of the interval.
SELECT CAST(TIMESTAMPTZ {{ sl_data_interval_start }} AS TIMESTAMP) AS interval_start,
       CAST(TIMESTAMPTZ {{ sl_data_interval_end }} AS TIMESTAMP) AS interval_end,
       s.products,
       s.sold,
       s.revenue,
       v.customers,
       v.best_customer
FROM (
    SELECT count(*) AS products, CAST(sum(sold) AS BIGINT) AS sold, sum(revenue) AS revenue FROM kpi.product_sales
) AS s
CROSS JOIN (
    SELECT count(*) AS customers, arg_max(customer, (spent, -customer_id)) AS best_customer FROM kpi.customer_value
) AS v
