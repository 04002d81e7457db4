select wing, sum(paid) as paid from src.visits group by wing
