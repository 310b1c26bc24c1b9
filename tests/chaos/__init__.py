"""Everything that can go wrong at once, for a while; and then everybody must have exactly what the chain has."""
