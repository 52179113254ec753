ALTER TABLE parts RESET (
    autovacuum_vacuum_threshold, autovacuum_vacuum_scale_factor,
    toast.autovacuum_vacuum_threshold, toast.autovacuum_vacuum_scale_factor
);
DROP FUNCTION erase_part;
