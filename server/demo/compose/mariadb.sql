-- MariaDB of docker-compose.yml: what is on the shelves.
CREATE TABLE stock (
  sku varchar(10) PRIMARY KEY,
  on_hand int unsigned NOT NULL,
  reorder_at int unsigned NOT NULL,
  counted_at datetime NOT NULL
) CHARACTER SET utf8mb4;
INSERT INTO stock VALUES
  ('ESP-250', 140, 60, '2025-06-30 08:00:00'),
  ('ESP-1000', 22, 40, '2025-06-30 08:05:00'),
  ('FIL-250', 95, 60, '2025-06-30 08:10:00'),
  ('FIL-1000', 51, 30, '2025-06-30 08:15:00'),
  ('DEC-250', 8, 20, '2025-06-30 08:20:00'),
  ('GRN-5000', 31, 10, '2025-06-30 08:25:00'),
  ('V60-02', 17, 10, '2025-06-30 08:30:00'),
  ('KET-900', 4, 5, '2025-06-30 08:35:00'),
  ('MUG-HRB', 210, 50, '2025-06-30 08:40:00'),
  ('SUB-M', 0, 0, '2025-06-30 08:45:00');
