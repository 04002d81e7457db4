insert into src.seen select max(nr) from src.visits
