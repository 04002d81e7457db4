select {{columns}} from src.visits where nr = 2
