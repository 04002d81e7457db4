select nr, '{{note}}' as note from src.visits where nr < {{below}}
