select nr from src.visits where nr > 2
