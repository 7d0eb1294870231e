-- PostgreSQL of docker-compose.yml: who buys. The ids are those of the demo's orders.
CREATE TABLE customers (
  id int PRIMARY KEY,
  name text NOT NULL,
  city text NOT NULL,
  country char(2) NOT NULL,
  joined date NOT NULL
);
INSERT INTO customers
SELECT i,
       (ARRAY['Ada', 'Bram', 'Carla', 'Deniz', 'Elif', 'Femke', 'Goran', 'Hana'])[1 + i % 8] || ' '
         || (ARRAY['Almeida', 'Berg', 'Castillo', 'Dekker', 'Eriksen'])[1 + i % 5],
       (ARRAY['Rotterdam', 'Hamburg', 'Antwerp', 'Bergen', 'Gdańsk', 'Porto'])[1 + i % 6],
       (ARRAY['NL', 'DE', 'BE', 'NO', 'PL', 'PT'])[1 + i % 6],
       DATE '2019-01-01' + i * 7
FROM generate_series(1, 240) AS i;
ANALYZE customers;
