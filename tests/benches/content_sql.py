"""The SQL that an analyst would write for the content report, on the same files and integer keys."""

from __future__ import annotations

_BAND = (
    "CASE WHEN day - published_day >= 60 THEN 60 WHEN day - published_day >= 30 THEN 30 WHEN day - published_day >= 14 THEN 14 "
    "WHEN day - published_day >= 7 THEN 7 WHEN day - published_day >= 3 THEN 3 WHEN day - published_day >= 1 THEN 1 ELSE 0 END"
)
_NAMES = {"impressions": "impression", "opens": "read", "completes": "complete"} | {
    f"{kind}s": kind for kind in ("like", "comment", "favorite", "share", "follow")
}
_KINDS = ", ".join(f"count(*) FILTER (event = '{kind}') AS {name}" for name, kind in _NAMES.items())
_SUMS = ", ".join(f"sum({name}) AS {name}" for name in _NAMES)
_NOW = "day BETWEEN '{start}' AND '{end}'"
_TOLD = f"event IN ({', '.join(repr(kind) for kind in _NAMES.values())}) AND {_NOW}"
_THREE = f"event IN ('impression', 'read', 'complete') AND {_NOW}"

ITEMS = f"""
WITH place AS (SELECT placement, f::DOUBLE AS f FROM (VALUES {{placements}}) p(placement, f)), spot AS (SELECT spot, f::DOUBLE AS f FROM (VALUES {{positions}}) p(spot, f)),
age AS (SELECT age, f::DOUBLE AS f FROM (VALUES {{ages}}) p(age, f)), born AS (SELECT content_key, published_day FROM {{content}}),
e AS (
    SELECT content_key, event, position, placement, day, duration_s, CASE WHEN event = 'impression' THEN 1 ELSE 0 END AS shown,
        CASE WHEN event = 'read' AND duration_s >= 0 THEN ln(1 + duration_s) END AS lasting, {_BAND} AS age
    FROM {{events}} JOIN born USING (content_key) WHERE {_TOLD}
), own AS (
    SELECT content_key, {_KINDS}, sum(shown * coalesce(place.f, 1) * coalesce(spot.f, 1) * coalesce(age.f, 1)) AS worth, sum(shown) FILTER (day >= '{{recent}}') AS last_week,
        avg(lasting) AS dwell_log, var_samp(lasting) AS dwell_var, count(lasting) AS dwells,
        count(*) FILTER (event = 'read' AND duration_s < 0) AS negative_dwells,
        count(*) FILTER (shown = 1 AND position IS NULL) AS unplaced,
        count(DISTINCT CASE WHEN shown = 1 THEN coalesce(e.placement, '(none)') END) AS placements
    FROM e LEFT JOIN place ON place.placement = coalesce(e.placement, '(none)')
    LEFT JOIN spot ON spot.spot = least(coalesce(e.position, -1), 20) LEFT JOIN age USING (age) GROUP BY content_key
)
SELECT published_day, title, originality, source, category, author_id, topic, own.* EXCLUDE content_key, content_id
FROM own JOIN {{content}} USING (content_key)
"""
CHAIN = f"""
WITH own AS (SELECT content_key, {_KINDS} FROM {{events}} WHERE {_TOLD} GROUP BY content_key),
fresh AS (SELECT {{by}}, count(*) AS published FROM {{content}} WHERE published_day BETWEEN '{{start}}' AND '{{end}}' GROUP BY {{by}})
SELECT {{by}}, coalesce(any_value(published), 0) AS published, count(*) FILTER (impressions > 0) AS items, {_SUMS}
FROM own LEFT JOIN {{content}} USING (content_key) LEFT JOIN fresh USING ({{by}}) GROUP BY {{by}} ORDER BY {{by}}
"""
PLACES = f"""
SELECT placement, count(DISTINCT content_key) FILTER (event = 'impression') AS items, {_KINDS}
FROM {{events}} WHERE {_TOLD} GROUP BY placement ORDER BY placement
"""
CELLS = f"""
WITH top AS (
    SELECT content_key, content_id, published_day, shown
    FROM (SELECT content_key, count(*) AS shown FROM {{events}} WHERE event = 'impression' AND {_NOW} GROUP BY content_key)
    JOIN {{content}} USING (content_key) ORDER BY shown DESC, content_id LIMIT 500
), cell AS (
    SELECT top.content_id, placement, least(coalesce(position, -1), 20) AS position, {_BAND} AS age,
        count(*) FILTER (event = 'impression') AS impressions, count(*) FILTER (event = 'read') AS opens,
        count(*) FILTER (event = 'complete') AS completes, any_value(shown) AS shown
    FROM {{events}} JOIN top USING (content_key) WHERE {_THREE} GROUP BY ALL HAVING impressions > 0
)
SELECT * REPLACE (least(opens, impressions) AS opens, least(completes, opens, impressions) AS completes) FROM cell ORDER BY ALL
"""
UNKNOWN = f"""
WITH item AS (
    SELECT content_id, count(*) AS n, count(*) FILTER (event = 'impression') AS shown, count(*) FILTER (event = 'read') AS opens,
        count(*) FILTER (event = 'read' AND duration_s < 0) AS negative,
        count(*) FILTER (event = 'impression' AND position IS NULL) AS bare
    FROM {{events}} WHERE {_TOLD} GROUP BY content_id
), known AS (SELECT item.*, c.content_id IS NULL AS gone FROM item LEFT JOIN {{content}} c USING (content_id)),
told AS (
    SELECT 'negative_dwell' AS issue, sum(negative) AS n, sum(opens) AS "of", min(content_id) FILTER (negative > 0) AS example FROM known
    UNION ALL SELECT 'no_position', sum(bare), sum(shown), min(content_id) FILTER (bare > 0) FROM known
    UNION ALL SELECT 'opens_without_impressions', sum(opens) FILTER (shown = 0), sum(opens), min(content_id) FILTER (shown = 0 AND opens > 0) FROM known
    UNION ALL SELECT 'unknown_item', sum(n) FILTER (gone), sum(n), min(content_id) FILTER (gone) FROM known
) SELECT * FROM told WHERE n > 0 ORDER BY issue
"""
SEGMENTS = f"""
WITH born AS (SELECT content_key, category FROM {{content}}), favourite AS (
    SELECT user_key, category AS segment FROM (
        SELECT user_key, category, count(*) AS n FROM {{events}} JOIN born USING (content_key)
        WHERE event = 'read' AND day < '{{start}}' GROUP BY ALL)
    QUALIFY row_number() OVER (PARTITION BY user_key ORDER BY n DESC, category) = 1
), own AS (
    SELECT user_key, category, count(*) FILTER (event = 'impression') AS n, count(*) FILTER (event = 'read') AS o,
        count(*) FILTER (event = 'complete') AS x
    FROM {{events}} JOIN born USING (content_key) WHERE {_THREE} GROUP BY ALL HAVING n > 0
)
SELECT segment, category, count(*) AS users, sum(n) AS impressions, sum(o) AS opens, sum(x) AS completes,
    count(*) FILTER (x > 0) AS finishers, sum(n * n) AS nn, sum(n * x) AS nx, sum(x * x) AS xx
FROM own JOIN favourite USING (user_key) GROUP BY segment, category ORDER BY segment, category
"""
READINGS = f"""
WITH top AS (
    SELECT content_key, content_id, title, category
    FROM (SELECT content_key, count(DISTINCT user_key) AS openers FROM {{events}} WHERE event = 'read' AND {_NOW} GROUP BY content_key)
    JOIN {{content}} USING (content_key) ORDER BY openers DESC, content_id LIMIT 300
), opened AS (
    SELECT user_id, top.content_id, title, category, day < '{{split}}' AS early
    FROM {{events}} JOIN top USING (content_key) WHERE event = 'read' AND {_NOW}
), who AS (SELECT user_id FROM (SELECT DISTINCT user_id FROM opened) ORDER BY reverse(user_id), user_id LIMIT 3000)
SELECT user_id, content_id, title, category, max(early::INT) AS before, max((NOT early)::INT) AS after
FROM opened JOIN who USING (user_id) GROUP BY ALL ORDER BY user_id, content_id
"""
_AGED = """
WITH ends AS (SELECT min(day) AS first, max(day) AS last FROM {events}),
opened AS (SELECT content_key, day, count(*) AS n FROM {events} WHERE event = 'read' GROUP BY ALL),
daily AS (SELECT day, sum(n) AS total FROM opened GROUP BY day),
weight AS (SELECT day, (SELECT avg(total) FROM daily) / total AS w FROM daily),
grown AS (SELECT content_key, content_id, title, category, published_day FROM {content}, ends WHERE published_day BETWEEN first AND last - 28),
aged AS (
    SELECT content_key, content_id, title, category, day - published_day AS age, n, n * w AS views
    FROM opened JOIN grown USING (content_key) JOIN weight USING (day) WHERE day - published_day BETWEEN 0 AND 28
)"""
AGES = (
    _AGED
    + """, seen AS (SELECT category, age, sum(n) AS opens, sum(views) AS views FROM aged GROUP BY ALL),
size AS (SELECT category, count(*) AS items FROM grown GROUP BY category)
SELECT category, t.age, items, coalesce(opens, 0) AS opens, coalesce(views, 0) AS views
FROM size CROSS JOIN range(29) t(age) LEFT JOIN seen ON seen.category = size.category AND seen.age = t.age ORDER BY 1, 2
""".replace("SELECT category, t.age", "SELECT size.category, t.age")
)
ITEM_AGES = (
    _AGED
    + """, top AS (SELECT content_key FROM aged GROUP BY content_key, content_id ORDER BY sum(n) DESC, content_id LIMIT 200)
SELECT content_id, title, category, age, sum(views) AS views FROM aged JOIN top USING (content_key) GROUP BY ALL ORDER BY content_id, age
"""
)
HOURS = """
WITH ends AS (SELECT min(day) AS first, max(day) AS last FROM {events}),
item AS (SELECT content_key, category, published_at, published_day FROM {content}, ends WHERE published_day BETWEEN first AND last - 2),
own AS (
    SELECT content_key, count(*) AS n FROM {events} JOIN item USING (content_key)
    WHERE event = 'read' AND day - published_day BETWEEN 0 AND 2 GROUP BY content_key
), value AS (
    SELECT date_trunc('hour', published_at) AS hour, coalesce(n, 0) AS n, avg(coalesce(n, 0)) OVER (PARTITION BY category) AS usual
    FROM item LEFT JOIN own USING (content_key)
)
SELECT hour, count(*) AS items, avg(n / usual) AS mean, var_samp(n / usual) AS var FROM value WHERE usual > 0 GROUP BY hour ORDER BY hour
"""
TOPICS = """
WITH own AS (
    SELECT content_key, (DATE '{end}' - day) // 7 AS week, count(*) FILTER (event = 'impression') AS impressions,
        count(*) FILTER (event = 'read') AS opens, count(*) FILTER (event = 'complete') AS completes,
        count(*) FILTER (event = 'read' AND isodow(day) > 5) AS weekend
    FROM {events} WHERE event IN ('impression', 'read', 'complete') AND day BETWEEN DATE '{end}' - 55 AND '{end}' GROUP BY ALL
), joint AS (
    SELECT coalesce(category, '(none)') AS category, coalesce(topic, '(none)') AS topic, week, 0 AS published, impressions, opens, completes, weekend
    FROM own LEFT JOIN {content} USING (content_key)
    UNION ALL SELECT category, topic, (DATE '{end}' - published_day) // 7, 1, 0, 0, 0, 0 FROM {content}
    WHERE published_day BETWEEN DATE '{end}' - 55 AND '{end}'
)
SELECT category, topic, week, sum(published) AS published, sum(impressions) AS impressions, sum(opens) AS opens,
    sum(completes) AS completes, sum(weekend) AS weekend FROM joint GROUP BY ALL ORDER BY ALL
"""
