create or replace table src.step as select 1 as one;
select one from src.step
