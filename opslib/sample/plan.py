"""What the sample product is: its calendar, channels, people, releases, campaigns and experiments, as plain facts.

Everything is placed in weeks counted back from the last day, so that the stories keep their distance from the end
whatever the length of the history.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np

from opslib.errors import UsageError

ZONE = "Asia/Shanghai"
UTC_OFFSET_H = 8  # China has had no clock change since 1991
SECOND = 1_000_000
DAY = 86_400 * SECOND

PLATFORMS = ("ios", "android", "web", "mini_program")
CATEGORIES = ("资讯", "财经", "小说", "影视", "好物", "美食", "科技", "旅行")

# Public holidays of mainland China in the default half-year: whole days off, first and last.
HOLIDAYS = (
    ("2026-01-01", "2026-01-03"),
    ("2026-02-15", "2026-02-23"),
    ("2026-04-04", "2026-04-06"),
    ("2026-05-01", "2026-05-05"),
    ("2026-06-19", "2026-06-21"),
)


@dataclass(frozen=True)
class Calendar:
    """The local days of the sample; day 0 is a Monday, the last one a Sunday."""

    first: dt.date
    days: int

    @classmethod
    def ending(cls, end: str, weeks: int) -> Calendar:
        try:
            last = dt.date.fromisoformat(end)
        except ValueError:
            raise UsageError(f"sample: end must be a day like 2026-06-28, got {end!r}") from None
        if last.weekday() != 6:
            raise UsageError(f"sample: end must be a Sunday, {end} is a {last:%A}")
        if not 26 <= weeks <= 104:
            raise UsageError(f"sample: weeks must be between 26 and 104, got {weeks}", "the stories need half a year")
        return cls(last - dt.timedelta(days=7 * weeks - 1), 7 * weeks)

    def back(self, weeks: int, day: int = 0) -> int:
        """The day number of weekday `day` (0 = Monday) in the week that is `weeks` from the end; 1 is the last week."""
        return self.days - 7 * weeks + day

    def date(self, day: int) -> dt.date:
        return self.first + dt.timedelta(days=int(day))

    def iso(self, day: int) -> str:
        return self.date(day).isoformat()

    @property
    def epoch_day(self) -> int:
        return (self.first - dt.date(1970, 1, 1)).days

    @property
    def midnight(self) -> int:
        """Local midnight of day 0, in UTC microseconds."""
        return self.epoch_day * DAY - UTC_OFFSET_H * 3600 * SECOND

    @property
    def stop(self) -> int:
        """The first microsecond after the last local day."""
        return self.midnight + self.days * DAY

    def weekday(self) -> np.ndarray:
        return np.arange(self.days) % 7

    def holiday(self) -> np.ndarray:
        """True on each public holiday."""
        found = np.zeros(self.days, bool)
        for first, last in HOLIDAYS:
            low, high = ((dt.date.fromisoformat(d) - self.first).days for d in (first, last))
            found[max(low, 0) : max(high + 1, 0)] = True
        return found


@dataclass(frozen=True)
class Channel:
    """How a channel brings people, and what they are worth."""

    name: str
    kind: str  # paid, free, offline
    share: float  # of ordinary sign-ups
    cac: float  # CNY a sign-up at the ordinary spend
    stay: float  # factor on the chance to come back at all
    pay: float  # factor on the chance to become a payer
    platforms: tuple[float, float, float, float]
    click_rate: float = 0.02
    half_spend: float = 3.0  # spend of half the greatest response, in ordinary spends


CHANNELS = (
    Channel("douyin_feed", "paid", 0.13, 5.5, 0.58, 0.75, (0.38, 0.50, 0.04, 0.08), 0.011, 12.0),
    Channel("wechat_ads", "paid", 0.12, 9.0, 0.95, 1.00, (0.32, 0.38, 0.00, 0.30), 0.016),
    Channel("baidu_search", "paid", 0.09, 14.0, 0.98, 1.45, (0.25, 0.45, 0.30, 0.00), 0.045),
    Channel("huawei_store", "paid", 0.11, 7.5, 0.95, 0.90, (0.00, 1.00, 0.00, 0.00), 0.030),
    Channel("app_store", "paid", 0.10, 12.0, 1.00, 1.60, (1.00, 0.00, 0.00, 0.00), 0.038),
    Channel("kol_bilibili", "paid", 0.05, 62.0, 0.85, 0.55, (0.42, 0.46, 0.12, 0.00), 0.022),
    Channel("seo", "free", 0.09, 2.0, 0.98, 1.10, (0.22, 0.38, 0.40, 0.00), 0.060),
    Channel("wechat_mp", "free", 0.09, 3.0, 1.00, 1.20, (0.18, 0.24, 0.00, 0.58), 0.050),
    Channel("campus", "offline", 0.06, 8.0, 0.95, 0.60, (0.40, 0.48, 0.00, 0.12), 0.200),
    Channel("partner", "offline", 0.05, 8.5, 0.95, 1.00, (0.30, 0.50, 0.10, 0.10), 0.150),
    Channel("direct", "free", 0.08, 0.0, 1.00, 1.25, (0.42, 0.44, 0.10, 0.04)),
    Channel("referral", "free", 0.03, 0.0, 1.00, 1.00, (0.40, 0.48, 0.00, 0.12)),
)
CHANNEL = {c.name: i for i, c in enumerate(CHANNELS)}
NO_GAIN = "kol_bilibili"  # costs more than it brings


@dataclass(frozen=True)
class Segment:
    """A kind of people: when they come, what they like, what they do."""

    name: str
    label: str
    share: float
    active: float  # mean chance of being active on a day, once the first days are over
    peaks: tuple[tuple[float, float, float], ...]  # (local hour, spread in hours, weight)
    weekend: float  # activity on Saturday and Sunday against other days
    taste: tuple[float, ...]  # what they are shown, by category
    finish: tuple[float, ...]  # factor on finishing, by category
    depth: float  # items shown a session
    social: float  # factor on likes, comments, shares
    pay: float
    join: float  # factor on joining campaigns
    need: str  # what they answer when asked what they come for


SEGMENTS = (
    Segment(
        "commuter", "通勤速读", 0.34, 0.34, ((8.0, 0.6, 0.55), (18.5, 0.7, 0.45)), 0.70,
        (0.44, 0.30, 0.05, 0.04, 0.03, 0.03, 0.08, 0.03), (1.10, 1.15, 0.60, 0.70, 0.80, 0.80, 1.05, 0.90),
        3.4, 0.5, 0.9, 0.7, "快速了解当天要闻",
    ),
    Segment(
        "night_reader", "深夜追更", 0.26, 0.32, ((22.3, 0.8, 0.85), (13.0, 0.8, 0.15)), 1.15,
        (0.03, 0.02, 0.46, 0.34, 0.03, 0.05, 0.03, 0.04), (0.70, 0.60, 1.25, 1.10, 0.80, 0.90, 0.80, 0.90),
        6.0, 0.8, 1.2, 0.6, "追小说和影视更新",
    ),
    Segment(
        "bargain", "优惠达人", 0.22, 0.25, ((12.5, 0.7, 0.65), (20.0, 0.8, 0.35)), 1.05,
        (0.03, 0.03, 0.03, 0.25, 0.44, 0.15, 0.03, 0.04), (0.70, 0.70, 0.60, 0.45, 1.05, 1.45, 0.80, 0.90),
        4.0, 0.7, 1.5, 2.6, "找优惠和好物推荐",
    ),
    Segment(
        "creator", "热心创作者", 0.18, 0.36, ((16.0, 1.1, 0.70), (10.0, 0.9, 0.30)), 1.35,
        (0.04, 0.04, 0.03, 0.05, 0.03, 0.10, 0.37, 0.34), (0.80, 0.80, 0.70, 0.80, 0.80, 0.95, 1.15, 1.20),
        5.0, 3.2, 0.8, 1.0, "分享作品、结识同好",
    ),
)  # fmt: skip
MISMATCH = {"segment": "bargain", "shown_too_much": "影视", "shown_too_little": "美食"}

# Chances on the way in, and what each state means for coming back at all.
REGISTERS, VERIFIES, ACTIVATES = 0.86, 0.88, 0.78
COMES_BACK = {"visited": 0.12, "registered": 0.30, "verified": 0.64, "activated": 1.0}

# Lifetimes are Lomax; a new user is keener for some days.
LIFE_SHAPE, LIFE_SCALE, KEEN, KEEN_DAYS, EVENNESS = 0.5, 8.0, 0.46, 5.0, 3.0

RELEASES = (  # (version, week from the end, note)
    ("4.8.0", 999, "首发"),
    ("4.9.0", 21, "春节版"),
    ("5.0.1", 14, "修复闪退"),
    ("5.1.0", 9, "加载提速"),
    ("5.2.0", 4, "新验证码组件"),
)
CRASH_FIX, SLOW_FIX, BROKEN = "5.0.1", "5.1.0", "5.2.0"
VERIFIES_BROKEN = 0.46  # on android from BROKEN on
ROLLOUT_DAYS = 4  # of new installs; the share with the release grows evenly
FEED_BOOST = 4.6  # spend on douyin_feed from DROP_WEEK on
DROP_WEEK = 4  # the day-1 drop starts on the Monday of this week from the end


def release_days(calendar: Calendar) -> np.ndarray:
    """The day each version appears; the first one was there before day 0."""
    return np.array([max(calendar.back(week), -999) if week < 999 else -999 for _, week, _ in RELEASES])


@dataclass(frozen=True)
class Campaign:
    """One campaign: when it ran, and how people join."""

    id: str
    name: str
    kind: str
    stage: str
    week: int  # from the end
    length: int  # days
    join: float  # chance that an active user joins, before the segment's factor
    reward: float  # CNY for each one who claims
    goal_metric: str
    goal: float  # for 20,000 users
    budget: float  # for 20,000 users
    audience: str
    newcomers: bool = False  # may people in their first week join?


CAMPAIGNS = (
    Campaign("c01_first_order", "新人首单立减", "promotion", "launch", week=25, length=14, join=0.30, reward=15,
             goal_metric="pay", goal=60, budget=1_500, audience="新注册用户", newcomers=True),
    Campaign("c02_spring_cards", "春节集卡", "tasks", "launch", week=20, length=14, join=0.32, reward=3,
             goal_metric="join_campaign", goal=700, budget=1_500, audience="全部用户"),
    Campaign("c03_invite", "邀请好友得红包", "referral", "growth", week=18, length=28, join=0.10, reward=10,
             goal_metric="register", goal=600, budget=12_000, audience="全部用户", newcomers=True),
    Campaign("c04_member_day", "四月会员日", "member_day", "growth", week=11, length=7, join=0.22, reward=8,
             goal_metric="pay", goal=250, budget=2_400, audience="近 28 天活跃用户"),
    Campaign("c05_check_in", "签到领现金", "check_in", "growth", week=8, length=14, join=0.20, reward=2,
             goal_metric="join_campaign", goal=900, budget=2_500, audience="注册满 7 天的用户"),
    Campaign("c06_summer", "暑期打卡", "check_in", "maturity", week=1, length=21, join=0.15, reward=2,
             goal_metric="join_campaign", goal=1_200, budget=3_000, audience="注册满 7 天的用户"),
)  # fmt: skip
CAMPAIGN = {c.id: i for i, c in enumerate(CAMPAIGNS)}
SELLS = ("promotion", "member_day")  # kinds whose orders carry the campaign, and a rebate each
REFERRAL, MEMBER_DAY, CHECK_IN = "c03_invite", "c04_member_day", "c05_check_in"
MEMBER_DAY_LIFT = 0.05  # chance that a treated user who would not have bought buys because of the campaign
INVITED_REWARD = 5.0
ACCEPTANCE = 0.22  # of honest invitations
REFERRAL_BOOST = 9.0
RINGS_PER_USERS = 7_000
RING_SIZES = (46, 34, 26)
RING_WEEK = 17


@dataclass(frozen=True)
class Experiment:
    """One experiment: who is exposed when, and how they are split."""

    id: str
    name: str
    week: int
    length: int
    split: tuple[tuple[str, float], ...]  # the control first
    metric: str


EXPERIMENTS = (
    Experiment("exp_onboarding", "新手引导三步改一步", 14, 42, (("control", 0.5), ("one_step", 0.5)), "activate"),
    Experiment("exp_ranking", "推荐排序加入读完率", 10, 14, (("control", 0.5), ("finish_rate", 0.5)), "complete"),
    Experiment("exp_reward", "签到奖励 2 元对 5 元", 8, 14, (("cash_2", 0.5), ("cash_5", 0.5)), "join_campaign"),
    Experiment("exp_pay_button", "支付按钮换色（分流异常）", 6, 14, (("control", 0.5), ("orange", 0.5)), "checkout"),
    Experiment("exp_copy", "推送文案三选一", 3, 14, (("plain", 0.34), ("emoji", 0.33), ("question", 0.33)), "click"),
    Experiment(f"holdout_{MEMBER_DAY}", "四月会员日留出组", 11, 7, (("holdout", 0.2), ("treated", 0.8)), "pay"),
)
EXPERIMENT = {e.id: i for i, e in enumerate(EXPERIMENTS)}
ACTIVATES_ONE_STEP = 0.86  # against ACTIVATES
FINISH_LIFT = 1.30  # factor on finishing, once opened, in exp_ranking
JOIN_CASH_5 = 1.5  # factor on joining, in exp_reward
LOST_FROM_SPLIT = 0.5  # of android users in variant `orange` never logged
IN_BOTH_ARMS = 0.02


def scaled(users: int, value: float, least: int = 1) -> int:
    """A number meant for 20,000 users, for `users`."""
    return max(least, round(value * users / 20_000))
