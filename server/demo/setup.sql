-- What `atoll demo` runs on its fresh catalog. One business, its data where such data end up; file names are beneath
-- the demo's --files-root.
COMMENT ON DATABASE atoll IS 'Harbour Coffee, a demo: one business spread over four kinds of sources';

CREATE SERVER shop FOREIGN DATA WRAPPER sqlite OPTIONS (database 'shop.db');
CREATE SERVER pricelist FOREIGN DATA WRAPPER csv;
CREATE SERVER warehouse FOREIGN DATA WRAPPER parquet;
CREATE SERVER carrier FOREIGN DATA WRAPPER json;

IMPORT FOREIGN SCHEMA main LIMIT TO (customers) FROM SERVER shop INTO public;
CREATE FOREIGN TABLE products (sku text, name text, category text, price numeric(8,2), organic boolean)
  SERVER pricelist OPTIONS (filename 'products.csv');
CREATE FOREIGN TABLE orders SERVER warehouse OPTIONS (location 'orders');
CREATE FOREIGN TABLE shipments (order_id bigint, carrier text, shipped_at timestamptz, delivered_at timestamptz, weight_kg numeric(8,2))
  SERVER carrier OPTIONS (filename 'shipments.jsonl');

COMMENT ON FOREIGN TABLE customers IS 'SQLite: who buys';
COMMENT ON FOREIGN TABLE products IS 'CSV: the price list';
COMMENT ON FOREIGN TABLE orders IS 'Parquet, a directory for each year: what was bought';
COMMENT ON FOREIGN TABLE shipments IS 'JSON lines: what the carrier says';

CREATE VIEW sales AS
SELECT o.order_id, o.ordered_at, c.name AS customer, c.country, p.name AS product, p.category,
       o.quantity, o.quantity * o.unit_price AS amount, s.carrier, s.delivered_at
FROM orders o
JOIN customers c ON c.id = o.customer_id
JOIN products p ON p.sku = o.sku
LEFT JOIN shipments s ON s.order_id = o.order_id;
COMMENT ON VIEW sales IS 'every order with its customer, product and shipment: four sources in one view';
