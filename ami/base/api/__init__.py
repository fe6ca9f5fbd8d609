"""What every API view shares: JSON, pages, filters, permissions, errors. Knows no model of ours."""
