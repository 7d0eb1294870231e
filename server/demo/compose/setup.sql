-- What docker-compose.yml runs on Atoll once all servers are up: four sources and a view over them. It may run again.
-- psql sets the variables crm_password, stock_password and s3_secret.
CREATE SERVER IF NOT EXISTS crm FOREIGN DATA WRAPPER postgres OPTIONS (host 'postgres', port '5432', dbname 'crm');
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER crm OPTIONS (user 'crm', password :'crm_password');
CREATE SERVER IF NOT EXISTS warehouse FOREIGN DATA WRAPPER mysql OPTIONS (host 'mariadb', port '3306', dbname 'warehouse');
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER warehouse OPTIONS (user 'warehouse', password :'stock_password');
CREATE SERVER IF NOT EXISTS lake FOREIGN DATA WRAPPER parquet
  OPTIONS (location 's3://harbour', endpoint 'http://s3:9000', region 'us-east-1', path_style 'true');
CREATE USER MAPPING IF NOT EXISTS FOR CURRENT_USER SERVER lake
  OPTIONS (access_key_id 'harbour', secret_access_key :'s3_secret');
CREATE SERVER IF NOT EXISTS pricelist FOREIGN DATA WRAPPER csv;

CREATE FOREIGN TABLE IF NOT EXISTS customers SERVER crm OPTIONS (schema_name 'public', table_name 'customers');
CREATE FOREIGN TABLE IF NOT EXISTS stock SERVER warehouse OPTIONS (dbname 'warehouse', table_name 'stock');
CREATE FOREIGN TABLE IF NOT EXISTS orders SERVER lake OPTIONS (location 'orders/');
CREATE FOREIGN TABLE IF NOT EXISTS products
  (sku text, name text, category text, price numeric(8,2), organic boolean)
  SERVER pricelist OPTIONS (filename 'products.csv');

CREATE OR REPLACE VIEW sales AS
SELECT o.order_id, o.ordered_at, c.name AS customer, c.country, p.name AS product, o.quantity,
       o.quantity * o.unit_price AS amount, s.on_hand
FROM orders o
JOIN customers c ON c.id = o.customer_id
JOIN products p ON p.sku = o.sku
JOIN stock s ON s.sku = o.sku;
COMMENT ON VIEW sales IS 'PostgreSQL, MariaDB, Parquet on S3 and a CSV file in one view';
