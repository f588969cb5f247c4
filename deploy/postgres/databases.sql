-- One database for each service; POSTGRES_DB has made the first.
CREATE DATABASE replication;
CREATE DATABASE catalog;
