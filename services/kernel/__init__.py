"""What every service needs and that names no resource of any of them."""
