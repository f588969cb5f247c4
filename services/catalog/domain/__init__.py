"""The rules of galleries, definitions and versions: values and what holds for them."""
