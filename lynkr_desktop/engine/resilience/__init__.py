"""What keeps it working: breakers, retries, lanes, budgets, the loop guard, load shedding."""
