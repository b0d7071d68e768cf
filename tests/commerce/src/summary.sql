-- One row of counts; GET /control/summary shows it as it is.
select
  (select count(*) from request)                                                    as requests,
  (select count(*) from request where outcome = 'pending')                          as requests_pending,
  (select count(*) from request where outcome = 'failed')                           as requests_failed,
  (select count(*) from request where outcome = 'lost')                             as replies_lost,
  (select count(*) from request where replayed = 1)                                 as requests_replayed,
  (select count(distinct key) from request)                                         as distinct_keys,
  -- Keys that arrived more than once, and the arrivals beyond the first.
  (select count(*) from (select 1 from request where key is not null group by key having count(*) > 1))
                                                                                    as keys_repeated,
  (select count(key) - count(distinct key) from request)                            as requests_repeated,
  (select count(*) from request where code = 'KEY_REUSED')                          as keys_reused,
  (select count(*) from request where code = 'UNDONE')                              as late_forwards_refused,
  (select count(*) from effect)                                                     as effects,
  (select count(*) from effect where undone_ms is not null)                         as effects_undone,
  (select count(*) from effect where key is null)                                   as effects_without_key,
  -- For each order and kind there should be one key and one effect; these count the (order, kind) with more.
  (select count(*) from (select 1 from effect where order_key is not null group by order_key, kind
                         having count(distinct coalesce(key, 'effect ' || id)) > 1)) as order_kinds_with_many_keys,
  (select count(*) from (select 1 from effect where order_key is not null group by order_key, kind
                         having count(*) > 1))                                      as order_kinds_with_many_effects,
  -- Likewise by path, whatever came of the requests: an undo, too, has one key.
  (select count(*) from (select 1 from request where order_key is not null and key is not null group by order_key, path
                         having count(distinct key) > 1))                           as order_paths_with_many_keys,
  (select count(*) from tombstone)                                                  as tombstones,
  (select count(*) from tombstone where ran = 0)                                    as undos_of_nothing,
  (select count(*) from callback)                                                   as callbacks,
  (select count(*) from callback where state = 'pending')                           as callbacks_pending,
  (select count(*) from callback where state = 'delivered')                         as callbacks_delivered,
  (select count(*) from callback where state = 'given_up')                          as callbacks_given_up,
  (select coalesce(sum(attempts), 0) from callback)                                 as callback_attempts
