-- tenants: whose books there are; the row policy of the database user decides which of them it sees
-- grain:  tenant
-- source: user_usage_1h
SELECT tenant FROM user_usage_1h GROUP BY tenant ORDER BY tenant = 'default' DESC, tenant
