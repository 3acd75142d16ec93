"""The sample's words: titles, feedback, interviews, survey answers, past decisions."""

from __future__ import annotations

# Topics of each category, in the order of plan.CATEGORIES; the fifth of 旅行 is the one that rises at the end.
TOPICS = (
    ("本地新闻", "国际时事", "民生政策", "体育赛事", "天气出行"),
    ("股市收盘", "基金定投", "楼市观察", "个税社保", "消费趋势"),
    ("悬疑连载", "都市言情", "历史架空", "科幻长篇", "武侠短篇"),
    ("新片速评", "追剧指南", "经典重温", "综艺热议", "动画推荐"),
    ("家电比价", "平价护肤", "数码折扣", "母婴清单", "居家收纳"),
    ("家常快手菜", "城市小吃", "减脂餐", "烘焙入门", "咖啡笔记"),
    ("手机评测", "AI 工具", "相机入门", "智能家居", "编程笔记"),
    ("周末短途", "自驾路线", "海岛攻略", "城市漫步", "毕业旅行"),
)
TITLES = (
    "{topic}：这三点最容易被忽略",
    "一文看懂{topic}",
    "{topic} | 第 {n} 期",
    "关于{topic}，我想说的都在这里",
    "{topic}避坑指南（{n} 条经验）",
    "今天聊聊{topic}",
    "{topic}：新手从哪里开始？",
    "为什么大家都在谈{topic}",
    "{topic} in {n} minutes",
    "读者投稿：我的{topic}故事",
)
HOSTILE_TITLES = ("<script>alert(1)</script>", "</style><b>加粗的标题</b>", "{{ 7 * 7 }} 模板里的标题")
HOSTILE_FEEDBACK = (
    '=HYPERLINK("http://x")',
    "\u202e反过来写的评价 gnp.exe\u202c",
    "<img src=x onerror=alert(2)> 图片打不开",
)

# What people write about, in both languages; {v} is the version in use.
FEEDBACK = {
    "闪退": (
        "打开文章就闪退，已经第三次了",
        "更新到 {v} 以后一看视频就闪退",
        "滑到第二页直接退回桌面，求修复",
        "App keeps crashing when I open a video",
        "刷着刷着就黑屏，然后程序没了",
        "每次点开评论区都会闪退，手机重启也没用",
    ),
    "收不到验证码": (
        "注册一直收不到验证码",
        "短信验证码等了十分钟也没来，{v} 版本",
        "验证码输入框点不动，没法完成手机验证",
        "Never got the SMS code, cannot sign up",
        "输入验证码后一直转圈，验证失败",
        "换了两个手机号都收不到验证短信",
    ),
    "加载慢": (
        "首页加载太慢，要等五六秒",
        "图片半天刷不出来，网络没问题",
        "Loading takes forever on mobile data",
        "视频一直缓冲，晚上尤其慢",
        "{v} 打开速度还是很慢",
    ),
    "广告太多": (
        "广告太多了，三条内容一条广告",
        "开屏广告点不掉，体验很差",
        "Too many ads between the articles",
        "弹窗广告挡住了正文",
    ),
    "推荐不准": (
        "总给我推影视，我想看的是美食",
        "推荐的内容越来越不相关",
        "看过一次就一直推同类，能不能多样一点",
        "The feed shows me things I never finish",
        "希望可以自己选择感兴趣的分类",
    ),
    "价格与会员": (
        "会员有点贵，学生有优惠吗",
        "满减规则看不懂，凑单很累",
        "退款三天了还没到账",
        "Please add a monthly plan",
    ),
    "夜间模式": (
        "希望增加夜间模式，晚上看太刺眼",
        "求深色主题",
        "Dark mode please!",
        "夜里看小说眼睛受不了，快出夜间模式吧",
    ),
    "好评": (
        "内容质量不错，每天都看",
        "小说更新快，推荐给室友了",
        "Great content, easy to use",
        "签到能领现金，挺好的",
        "界面清爽，搜索也好用",
    ),
}
# Share of each topic when nothing special happens, and how happy its writers are (0–10).
TOPIC_SHARE = {
    "闪退": 0.05, "收不到验证码": 0.03, "加载慢": 0.15, "广告太多": 0.14,
    "推荐不准": 0.14, "价格与会员": 0.10, "夜间模式": 0.09, "好评": 0.30,
}  # fmt: skip
TOPIC_SCORE = {
    "闪退": 2.5, "收不到验证码": 2.0, "加载慢": 4.5, "广告太多": 4.0,
    "推荐不准": 5.5, "价格与会员": 5.5, "夜间模式": 7.5, "好评": 9.3,
}  # fmt: skip
CRASH_SHARE = 0.27  # of all feedback before the fix
CODE_SHARE = 0.24  # of all feedback after the release that breaks verification
SLOW_TOPIC, CRASH_TOPIC, CODE_TOPIC, WISH_TOPIC = "加载慢", "闪退", "收不到验证码", "夜间模式"

INTERVIEWS = {
    "commuter": (
        "我一般在地铁上看十分钟新闻，标题不清楚的就划走了。",
        "早上想快点知道发生了什么，太长的不看。",
        "财经那块每天都看，别的很少点。",
        "下班路上刷一下，到家就不打开了。",
    ),
    "night_reader": (
        "睡前追小说，一看就是一小时，最怕更新断了。",
        "晚上看剧评，第二天跟同事聊。",
        "屏幕太亮，夜里看眼睛累，希望有夜间模式。",
        "我愿意为提前看付费。",
    ),
    "bargain": (
        "中午休息看看有什么折扣，攒够满减再下单。",
        "给我推了好多影视，其实我想看美食和好物。",
        "活动我都参加，红包到账快就行。",
        "同样的东西我会先比价。",
    ),
    "creator": (
        "我会在下午发帖，最在意评论和收藏。",
        "希望能看到自己作品的数据。",
        "喜欢科技和旅行，能认识同好。",
        "私信功能太弱了，和粉丝没法聊。",
    ),
}

AGES = ("18-24", "25-34", "35-44", "45+")
CITIES = ("一线", "新一线", "二线", "三线及以下")
OFTEN = ("每天多次", "每天一次", "每周几次", "更少")
FREE_TEXT = (
    "希望推荐更懂我", "加载再快一点就好了", "内容不错，继续保持", "广告少一点", "想要夜间模式",
    "More long reads, please", "活动规则写清楚些", "没有特别的建议",
)  # fmt: skip

# Past decisions: week from the end when proposed, report, team, title, evidence, metric, baseline, target, status,
# outcome.
ACTIONS = (
    (22, "weekly_report", "operations", "春节期间每天推送一次集卡提醒", "往年节后活跃下降",
     "activity.dau", 620, 700, "done", 688),
    (19, "campaign_plan", "marketing", "邀请奖励定为 10 元", "同类活动 K 约 0.8", "campaign.k", 0.8, 1.0, "done", 1.1),
    (17, "campaign_retrospective", "engineering", "同设备注册超过 3 个账号时暂缓发奖", "邀请活动中出现聚集注册",
     "campaign.suspects", 106, 10, "accepted", None),
    (15, "feedback_loop", "engineering", "5.0.1 修复视频页闪退", "闪退占反馈约四分之一",
     "feedback.topic_share", 0.27, 0.08, "done", 0.05),
    (14, "ab_readout", "product", "新手引导改为一步，先做对照实验", "激活一步通过率 78%",
     "funnel.step_rate", 0.78, 0.84, "done", 0.86),
    (12, "campaign_plan", "operations", "四月会员日保留 20% 对照组", "以往会员日无法判断增量",
     "campaign.incremental", None, None, "done", 0.04),
    (10, "feedback_loop", "engineering", "5.1.0 优化首页加载", "加载慢占反馈 15%",
     "feedback.topic_share", 0.15, 0.08, "done", 0.15),
    (9, "channel_roi", "marketing", "暂停 kol_bilibili 投放两周做对照", "获客成本高于用户价值",
     "channel.cac", None, None, "rejected", None),
    (8, "content_performance", "operations", "为优惠达人减少影视、增加美食曝光", "影视读完率低",
     "content.completion", 0.2, 0.3, "accepted", None),
    (5, "channel_roi", "marketing", "抖音信息流加大预算试投四周", "获客成本最低的付费渠道",
     "channel.signups", None, None, "done", None),
    (3, "user_profile", "sales", "回访近三个月付费超过 500 元的用户", "头部付费用户贡献过半",
     "segments.value", None, None, "accepted", None),
    (1, "weekly_report", "product", "收集夜间模式方案并排期", "持续有用户提出",
     "feedback.topic_share", 0.09, None, "proposed", None),
)  # fmt: skip
