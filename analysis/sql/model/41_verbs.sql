-- Verbs: which access a command, a method or a name means, system by system (BOUNDARIES.md, access).

CREATE OR REPLACE TEMP MACRO sql_access(verb) AS
    CASE
        WHEN verb IN ('SELECT', 'SHOW', 'DESCRIBE', 'DESC', 'EXPLAIN', 'VALUES', 'UNLOAD', 'WITH', 'TABLE') THEN 'read'
        WHEN verb IN ('INSERT', 'UPDATE', 'MERGE', 'REPLACE', 'UPSERT', 'COPY', 'LOAD') THEN 'write'
        WHEN verb IN ('DELETE', 'TRUNCATE') THEN 'delete'
        WHEN verb IN (
            'CREATE', 'ALTER', 'DROP', 'RENAME', 'GRANT', 'REVOKE', 'VACUUM', 'ANALYZE', 'OPTIMIZE',
            'REINDEX', 'REFRESH', 'ATTACH', 'LOCK', 'KILL'
        )
        THEN 'admin'
        WHEN verb IN ('CALL', 'EXEC', 'EXECUTE', 'DO') THEN 'execute'
        WHEN verb IN ('BEGIN', 'START', 'COMMIT', 'ROLLBACK', 'SAVEPOINT', 'RELEASE', 'SET', 'USE', 'PRAGMA', 'END')
        THEN 'none'
        ELSE 'unknown'
    END;

-- The commands Redis flags readonly; delete and admin are our split of the rest.
CREATE OR REPLACE TEMP MACRO redis_access(verb) AS
    CASE
        WHEN verb IN (
            'BITCOUNT', 'BITFIELD_RO', 'BITPOS', 'DBSIZE', 'DUMP', 'EXISTS', 'EXPIRETIME', 'GEODIST', 'GEOHASH', 'GEOPOS',
            'GEORADIUSBYMEMBER_RO', 'GEORADIUS_RO', 'GEOSEARCH', 'GET', 'GETBIT', 'GETRANGE', 'HEXISTS', 'HGET', 'HGETALL',
            'HKEYS', 'HLEN', 'HMGET', 'HRANDFIELD', 'HSCAN', 'HSTRLEN', 'HVALS', 'KEYS', 'LCS', 'LINDEX', 'LLEN', 'LOLWUT',
            'LPOS', 'LRANGE', 'MEMORY', 'MGET', 'OBJECT', 'PEXPIRETIME', 'PFCOUNT', 'PTTL', 'RANDOMKEY', 'SCAN', 'SCARD',
            'SDIFF', 'SINTER', 'SINTERCARD', 'SISMEMBER', 'SMEMBERS', 'SMISMEMBER', 'SORT_RO', 'SRANDMEMBER', 'SSCAN',
            'STRLEN', 'SUBSTR', 'SUNION', 'TOUCH', 'TTL', 'TYPE', 'XINFO', 'XLEN', 'XPENDING', 'XRANGE', 'XREAD', 'XREVRANGE',
            'ZCARD', 'ZCOUNT', 'ZDIFF', 'ZINTER', 'ZINTERCARD', 'ZLEXCOUNT', 'ZMSCORE', 'ZRANDMEMBER', 'ZRANGE',
            'ZRANGEBYLEX', 'ZRANGEBYSCORE', 'ZRANK', 'ZREVRANGE', 'ZREVRANGEBYLEX', 'ZREVRANGEBYSCORE', 'ZREVRANK', 'ZSCAN',
            'ZSCORE', 'ZUNION'
        ) THEN 'read'
        WHEN verb IN ('DEL', 'UNLINK', 'HDEL', 'LREM', 'SREM', 'XDEL', 'GETDEL', 'XTRIM', 'LTRIM')
            OR verb LIKE 'ZREM%' OR verb LIKE '%POP%' THEN 'delete'
        WHEN verb IN (
            'FLUSHALL', 'FLUSHDB', 'SWAPDB', 'CONFIG', 'ACL', 'SHUTDOWN', 'DEBUG', 'MONITOR', 'CLIENT', 'CLUSTER',
            'REPLICAOF', 'SLAVEOF', 'MIGRATE', 'RESTORE', 'SCRIPT', 'FUNCTION', 'MODULE', 'BGSAVE', 'SAVE', 'BGREWRITEAOF',
            'FAILOVER', 'LATENCY', 'SLOWLOG', 'PSYNC', 'SYNC'
        ) THEN 'admin'
        WHEN verb LIKE 'EVAL%' OR verb LIKE 'FCALL%' THEN 'execute'
        WHEN verb IN (
            'AUTH', 'PING', 'SELECT', 'HELLO', 'ECHO', 'QUIT', 'RESET', 'COMMAND', 'INFO', 'TIME',
            'WATCH', 'UNWATCH', 'SUBSCRIBE', 'UNSUBSCRIBE', 'DISCARD', 'WAIT'
        )
        THEN 'none'
        WHEN verb IN ('PIPELINE', 'MULTI', 'EXEC') OR verb IS NULL THEN 'unknown'
        WHEN verb IN (
            'APPEND', 'BITFIELD', 'BITOP', 'COPY', 'DECR', 'DECRBY', 'EXPIRE', 'EXPIREAT', 'GEOADD', 'GEORADIUS',
            'GEORADIUSBYMEMBER', 'GEOSEARCHSTORE', 'GETEX', 'GETSET', 'HINCRBY', 'HINCRBYFLOAT', 'HMSET', 'HSET', 'HSETNX',
            'INCR', 'INCRBY', 'INCRBYFLOAT', 'LINSERT', 'LMOVE', 'LPUSH', 'LPUSHX', 'LSET', 'MOVE', 'MSET', 'MSETNX',
            'PERSIST', 'PEXPIRE', 'PEXPIREAT', 'PFADD', 'PFMERGE', 'PSETEX', 'PUBLISH', 'RENAME', 'RENAMENX', 'RPUSH',
            'RPUSHX', 'SADD', 'SDIFFSTORE', 'SET', 'SETBIT', 'SETEX', 'SETNX', 'SETRANGE', 'SINTERSTORE', 'SMOVE', 'SORT',
            'SPUBLISH', 'SUNIONSTORE', 'XACK', 'XADD', 'XAUTOCLAIM', 'XCLAIM', 'XGROUP', 'XREADGROUP', 'XSETID', 'ZADD',
            'ZDIFFSTORE', 'ZINCRBY', 'ZINTERSTORE', 'ZRANGESTORE', 'ZUNIONSTORE', 'BLMOVE', 'BRPOPLPUSH', 'RPOPLPUSH'
        ) THEN 'write'
        ELSE 'unknown'
    END;

CREATE OR REPLACE TEMP MACRO memcached_access(verb) AS
    CASE
        WHEN verb IN ('get', 'gets', 'gat', 'gats', 'get_many', 'get_multi') THEN 'read'
        WHEN verb IN (
            'set', 'add', 'replace', 'append', 'prepend', 'cas', 'incr', 'decr', 'touch',
            'set_many', 'set_multi'
        )
        THEN 'write'
        WHEN verb IN ('delete', 'delete_many', 'delete_multi') THEN 'delete'
        WHEN verb = 'flush_all' THEN 'admin'
        ELSE 'unknown'
    END;

CREATE OR REPLACE TEMP MACRO mongodb_access(verb) AS
    CASE
        WHEN verb IN (
            'find', 'findone', 'aggregate', 'count', 'countdocuments', 'distinct',
            'listcollections', 'listindexes', 'listdatabases', 'getmore'
        )
        THEN 'read'
        WHEN verb LIKE 'findanddelete%' OR verb LIKE 'findonean%delete' OR verb LIKE 'delete%' OR verb LIKE 'remove%'
        THEN 'delete'
        WHEN verb LIKE 'insert%' OR verb LIKE 'update%' OR verb LIKE 'replace%' OR verb = 'bulkwrite'
            OR verb LIKE 'findandmodify%' OR verb LIKE 'findone%'
        THEN 'write'
        WHEN verb LIKE 'create%' OR verb LIKE 'drop%' OR verb IN (
            'collmod', 'renamecollection', 'grantrolestouser', 'grantroles', 'revokerolesfromuser'
        )
        THEN 'admin'
        WHEN verb IN ('hello', 'ping', 'ismaster', 'endsessions', 'committransaction', 'aborttransaction') THEN 'none'
        ELSE 'unknown'
    END;

CREATE OR REPLACE TEMP MACRO elasticsearch_access(verb) AS
    CASE
        WHEN verb IN (
            'search', 'msearch', 'get', 'mget', 'count', 'scroll', 'exists', 'field_caps',
            'explain', 'sql', 'sql.query', 'esql.query'
        )
        THEN 'read'
        WHEN verb LIKE 'indices.get%' OR verb LIKE 'indices.stats%' OR verb LIKE 'indices.exists%' THEN 'read'
        WHEN verb IN ('index', 'create', 'update', 'bulk', 'reindex', 'update_by_query') THEN 'write'
        WHEN verb IN ('delete', 'delete_by_query') THEN 'delete'
        WHEN regexp_matches(verb, '^(indices|cluster|security|ingest|ml|snapshot)\.') THEN 'admin'
        ELSE 'unknown'
    END;

CREATE OR REPLACE TEMP MACRO dynamodb_access(verb) AS
    CASE
        WHEN verb IN ('getitem', 'batchgetitem', 'query', 'scan', 'transactgetitems', 'describetable', 'listtables')
        THEN 'read'
        WHEN verb IN ('putitem', 'updateitem', 'batchwriteitem', 'transactwriteitems') THEN 'write'
        WHEN verb = 'deleteitem' THEN 'delete'
        WHEN verb IN ('createtable', 'updatetable', 'deletetable') THEN 'admin'
        ELSE 'unknown'
    END;

CREATE OR REPLACE TEMP MACRO object_access(verb) AS
    CASE
        WHEN verb IN (
            'CreateBucket', 'DeleteBucket', 'PutBucketPolicy', 'DeleteBucketPolicy', 'PutObjectAcl',
            'PutBucketAcl'
        )
        THEN 'admin'
        WHEN regexp_matches(verb, '(?i)^(get|head|list|select|download|read)') THEN 'read'
        WHEN regexp_matches(verb, '(?i)^(delete|abortmultipart|remove)') THEN 'delete'
        WHEN regexp_matches(verb, '(?i)^(put|copy|upload|complete|restore|create|write|insert)') THEN 'write'
        ELSE 'unknown'
    END;

CREATE OR REPLACE TEMP MACRO vector_access(verb) AS
    CASE
        WHEN regexp_matches(verb, '(create|drop|delete)_?(collection|index)') THEN 'admin'
        WHEN regexp_matches(verb, 'delete') THEN 'delete'
        WHEN regexp_matches(verb, 'upsert|insert|add|update') THEN 'write'
        WHEN regexp_matches(verb, 'query|search|get|fetch|peek|retrieve|scroll|recommend|discover|count') THEN 'read'
        ELSE 'unknown'
    END;

CREATE OR REPLACE TEMP MACRO http_access(method, path) AS
    CASE
        WHEN upper(method) IN ('GET', 'HEAD', 'OPTIONS', 'QUERY') THEN 'read'
        WHEN upper(method) = 'POST' AND regexp_matches(path, '/(search|_search|query|find|lookup|list|batchGet|count)$')
        THEN 'read'
        WHEN upper(method) = 'POST' AND regexp_matches(path, '/graphql$') THEN 'unknown'
        WHEN upper(method) IN ('POST', 'PUT', 'PATCH') THEN 'write'
        WHEN upper(method) = 'DELETE' THEN 'delete'
        ELSE 'unknown'
    END;

-- shop-get_price -> [get, price]; GetSlow -> [get, slow]
CREATE OR REPLACE TEMP MACRO name_words(name) AS
    list_filter(
        string_split_regex(
            lower(regexp_replace(
                regexp_extract(name, '([^./:]*)$', 1),
                '([a-z0-9])([A-Z])', '\1_\2', 'g'
            )),
            '[^a-z0-9]+'
        ),
        lambda word: word <> ''
    );

CREATE OR REPLACE TEMP MACRO verb_access(word) AS
    CASE
        WHEN word IN (
            'get', 'list', 'search', 'query', 'find', 'read', 'fetch', 'describe', 'count',
            'lookup', 'check', 'view', 'show', 'download', 'retrieve', 'recommend',
            'select', 'browse', 'inspect'
        )
        THEN 'read'
        WHEN word IN (
            'create', 'update', 'set', 'put', 'add', 'insert', 'save', 'send', 'post', 'submit',
            'book', 'cancel', 'approve', 'transfer', 'pay', 'refund', 'upload', 'move', 'rename',
            'write', 'edit', 'modify', 'upsert', 'append', 'publish'
        )
        THEN 'write'
        WHEN word IN ('delete', 'remove', 'purge', 'erase', 'drop') THEN 'delete'
        WHEN word IN ('grant', 'revoke', 'configure', 'deploy', 'restart') THEN 'admin'
        WHEN word IN ('exec', 'execute', 'run', 'shell', 'invoke', 'eval') THEN 'execute'
    END;

-- Nouns as often as verbs: they count where no other word is a verb.
CREATE OR REPLACE TEMP MACRO noun_access(word) AS
    CASE
        WHEN word IN ('load', 'status') THEN 'read'
        WHEN word IN ('store', 'register', 'assign', 'schedule', 'open', 'close') THEN 'write'
    END;

-- What keeps secrets: Systems Manager keeps them beside other things.
CREATE OR REPLACE TEMP MACRO is_secret(rpc_system, rpc_service, rpc_method) AS
    rpc_system = 'aws-api'
    AND (
        lower(rpc_service) IN ('secretsmanager', 'secrets manager')
        OR (lower(rpc_service) = 'ssm' AND contains(lower(rpc_method), 'parameter'))
    );

CREATE OR REPLACE TEMP MACRO secret_access(verb) AS
    CASE
        WHEN contains(lower(verb), 'policy') THEN 'admin'
        WHEN regexp_matches(verb, '^(Get|BatchGet|List|Describe)') THEN 'read'
        WHEN regexp_matches(verb, '^Delete') THEN 'delete'
        WHEN regexp_matches(verb, '^(Put|Update|Create|Rotate|Restore|Label|Tag)') THEN 'write'
        ELSE 'unknown'
    END;

-- DeleteMessage takes a message away, DeleteQueue the queue.
CREATE OR REPLACE TEMP MACRO queue_access(type, verb) AS
    CASE
        WHEN type = 'queue_producer' THEN 'write'
        WHEN type = 'queue_consumer' THEN 'read'
        WHEN regexp_matches(verb, '(?i)^(create|delete|set|add|remove)_?(queue|topic|stream|permission|subscription)')
        THEN 'admin'
        WHEN type = 'queue_poll' AND regexp_matches(verb, '(?i)^delete|purge') THEN 'delete'
        WHEN type = 'queue_poll' THEN 'read'
        WHEN regexp_matches(verb, '(?i)^(get|list|describe)') THEN 'read'
        ELSE 'admin'
    END;

-- From least to most; unknown is apart.
CREATE OR REPLACE TEMP MACRO access_rank(access) AS
    coalesce(list_position(['none', 'read', 'execute', 'write', 'delete', 'admin'], access), 0);
