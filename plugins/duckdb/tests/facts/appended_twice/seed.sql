create schema src;
create table src.visits as select * from (values (1,'north',4.5::double),(2,'south',2.0),(3,'north',1.25)) v(nr,wing,paid);
