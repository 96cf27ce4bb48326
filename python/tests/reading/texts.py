"""Texts of many kinds, composed for the calibration of estimates and for tests."""

from __future__ import annotations

PROSE = {
    "english": """The harbour was quiet that morning, and the pilot boat rocked against its fenders while the crew waited for the fog to
lift. Nobody had slept much. The night before, a freighter had come in without its papers, and the customs officer, a
patient woman named Ingrid, had spent three hours on the telephone with an agent who kept promising to call back. She
did not mind the waiting so much as the coffee. By seven o'clock the first gulls had found the fish crates, the cranes
began to move, and someone finally remembered to switch off the lights on the quay.""",
    "technical english": """A token bucket admits a request when it holds enough tokens, and refills continuously at a fixed rate. Its capacity
bounds the burst; its rate bounds the long-run throughput. Sliding windows are stricter: they never let more than the
limit through in any interval of the window's length, at the price of remembering when each request was granted. For
large language models the cost of a request is only known once the answer is complete, so a limiter reserves an upper
bound first and settles the difference afterwards.""",
    "german": """Der Hafen lag an diesem Morgen still, und das Lotsenboot schaukelte an den Fendern, während die Mannschaft darauf
wartete, dass sich der Nebel lichtete. Niemand hatte viel geschlafen. In der Nacht zuvor war ein Frachter ohne Papiere
eingelaufen, und die Zollbeamtin, eine geduldige Frau, hatte drei Stunden lang mit einem Vertreter telefoniert, der
immer wieder versprach zurückzurufen. Die Geschwindigkeitsbegrenzung auf der Bundesstraße galt übrigens weiterhin.""",
    "french": """Le port était silencieux ce matin-là, et le bateau-pilote se balançait contre ses défenses pendant que l'équipage
attendait que le brouillard se lève. Personne n'avait beaucoup dormi. La veille, un cargo était arrivé sans ses papiers,
et la douanière, une femme patiente, avait passé trois heures au téléphone avec un agent qui promettait toujours de
rappeler. Ce n'était pas l'attente qui la gênait, c'était plutôt le café.""",
    "spanish": """El puerto estaba tranquilo aquella mañana y la lancha del práctico se mecía contra las defensas mientras la
tripulación esperaba a que se levantara la niebla. Nadie había dormido mucho. La noche anterior había llegado un
carguero sin papeles, y la funcionaria de aduanas, una mujer paciente, pasó tres horas al teléfono con un agente que
prometía una y otra vez que volvería a llamar. Todos los seres humanos nacen libres e iguales en dignidad y derechos.""",
    "portuguese": """O porto estava calmo naquela manhã, e a lancha do prático balançava junto às defensas enquanto a tripulação esperava
que o nevoeiro levantasse. Ninguém tinha dormido muito. Na noite anterior chegara um cargueiro sem documentos, e a
funcionária da alfândega, uma mulher paciente, passou três horas ao telefone com um agente que prometia ligar de volta.""",
    "italian": """Quella mattina il porto era tranquillo e la pilotina dondolava contro i parabordi mentre l'equipaggio aspettava che la
nebbia si alzasse. Nessuno aveva dormito molto. La notte prima era arrivato un mercantile senza documenti, e la
doganiera, una donna paziente, aveva passato tre ore al telefono con un agente che prometteva sempre di richiamare.""",
    "polish": """Tego ranka w porcie było cicho, a łódź pilotowa kołysała się przy odbijaczach, podczas gdy załoga czekała, aż opadnie
mgła. Nikt nie spał zbyt wiele. Poprzedniej nocy wpłynął frachtowiec bez dokumentów, a celniczka, kobieta cierpliwa,
spędziła trzy godziny na rozmowie telefonicznej z agentem, który wciąż obiecywał, że oddzwoni.""",
    "turkish": """O sabah liman sessizdi ve kılavuz botu usturmaçalara yaslanmış sallanırken mürettebat sisin kalkmasını bekliyordu.
Kimse fazla uyumamıştı. Önceki gece belgeleri olmayan bir yük gemisi gelmişti ve sabırlı bir kadın olan gümrük memuru,
sürekli geri arayacağına söz veren bir acenteyle üç saat telefonda konuşmuştu.""",
    "vietnamese": """Sáng hôm đó bến cảng yên tĩnh, chiếc tàu hoa tiêu đung đưa bên mạn trong khi thủy thủ đoàn chờ sương mù tan. Không ai
ngủ được nhiều. Đêm hôm trước một con tàu chở hàng đã cập bến mà không có giấy tờ, và nữ nhân viên hải quan, một người
phụ nữ kiên nhẫn, đã mất ba tiếng đồng hồ nói chuyện điện thoại với một đại lý.""",
    "indonesian": """Pelabuhan itu sunyi pada pagi hari, dan kapal pandu bergoyang di dermaga sementara para awak menunggu kabut terangkat.
Tidak ada yang banyak tidur. Malam sebelumnya sebuah kapal barang datang tanpa surat-surat, dan petugas bea cukai,
seorang perempuan yang sabar, menghabiskan tiga jam di telepon dengan seorang agen yang berjanji akan menelepon lagi.""",
    "russian": """В то утро в порту было тихо, и лоцманский катер покачивался у причала, пока команда ждала, когда рассеется туман. Никто
толком не спал. Накануне ночью пришло грузовое судно без документов, и таможенница, женщина терпеливая, три часа
говорила по телефону с агентом, который всё обещал перезвонить. Все люди рождаются свободными и равными в своём
достоинстве и правах.""",
    "ukrainian": """Того ранку в порту було тихо, і лоцманський катер погойдувався біля причалу, поки команда чекала, доки розвіється
туман. Ніхто майже не спав. Напередодні вночі прибуло вантажне судно без документів, і митниця, жінка терпляча, три
години розмовляла телефоном з агентом.""",
    "greek": """Εκείνο το πρωί το λιμάνι ήταν ήσυχο και η πλοηγίδα λικνιζόταν δίπλα στην προβλήτα, ενώ το πλήρωμα περίμενε να σηκωθεί η
ομίχλη. Κανείς δεν είχε κοιμηθεί πολύ. Το προηγούμενο βράδυ είχε φτάσει ένα φορτηγό πλοίο χωρίς χαρτιά.""",
    "arabic": """كان الميناء هادئا في ذلك الصباح، وكان قارب الإرشاد يتمايل بجانب الرصيف بينما كان الطاقم ينتظر انقشاع الضباب. لم ينم
أحد كثيرا. في الليلة السابقة وصلت سفينة شحن بلا أوراق، وقضت موظفة الجمارك، وهي امرأة صبورة، ثلاث ساعات على الهاتف مع
وكيل كان يعد دائما بأن يعاود الاتصال. يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.""",
    "hebrew": """באותו בוקר היה הנמל שקט, וסירת הנווט התנדנדה ליד הרציף בזמן שהצוות חיכה שהערפל יתפזר. איש לא ישן הרבה. בלילה הקודם
הגיעה אוניית משא בלי מסמכים, ופקידת המכס, אישה סבלנית, בילתה שלוש שעות בטלפון עם סוכן שהבטיח להתקשר שוב.""",
    "hindi": """उस सुबह बंदरगाह शांत था और पायलट नाव घाट के पास हिल रही थी, जबकि चालक दल कोहरा छँटने की प्रतीक्षा कर रहा था। कोई भी ज़्यादा
नहीं सोया था। पिछली रात एक मालवाहक जहाज़ बिना काग़ज़ात के आया था। सभी मनुष्य जन्म से स्वतंत्र तथा मर्यादा और अधिकारों में समान होते हैं।""",
    "thai": """เช้าวันนั้นท่าเรือเงียบสงบ และเรือนำร่องโคลงเคลงอยู่ข้างท่า ขณะที่ลูกเรือรอให้หมอกจางลง ไม่มีใครได้นอนมากนัก คืนก่อนหน้านั้นมีเรือสินค้าลำหนึ่งเข้ามาโดยไม่มีเอกสาร
มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในศักดิ์ศรีและสิทธิ""",
    "chinese": """那天早上港口很安静，引航船靠着护舷轻轻摇晃，船员们等待着雾气散去。谁也没有睡多少觉。前一天夜里，一艘货轮没有带文件就进了港，
那位耐心的海关女官员花了三个小时和一位代理人通电话，对方总是答应会再打回来。人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，
并应以兄弟关系的精神相对待。大语言模型的成本取决于令牌数量，而不是字符数量。""",
    "japanese": """その朝、港は静かで、水先案内船は防舷材に寄りかかって揺れ、乗組員は霧が晴れるのを待っていた。誰もあまり眠れなかった。前の晩、
書類を持たない貨物船が入港し、辛抱強い税関の女性職員は、何度もかけ直すと約束する代理人と三時間も電話で話した。すべての人間は、
生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。トークンの数はモデルによって異なります。""",
    "korean": """그날 아침 항구는 조용했고, 도선선은 방충재에 기대어 흔들렸으며 선원들은 안개가 걷히기를 기다렸다. 아무도 제대로 잠을 자지 못했다.
전날 밤 서류도 없이 화물선 한 척이 들어왔고, 인내심 많은 세관 직원은 계속 다시 전화하겠다고 약속하는 대리인과 세 시간 동안 통화했다.
모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.""",
}
"""Prose in several languages; most tell the same story."""

CODE = {
    "python": '''class TokenBucket:
    """Admits what a continuously refilled bucket can pay for."""

    def __init__(self, capacity: int, per_second: float) -> None:
        self.capacity = capacity
        self.per_second = per_second
        self._level = float(capacity)
        self._updated_at = time.monotonic()

    def try_acquire(self, amount: int = 1) -> bool:
        now = time.monotonic()
        self._level = min(self.capacity, self._level + (now - self._updated_at) * self.per_second)
        self._updated_at = now
        if self._level < amount:
            return False
        self._level -= amount
        return True
''',
    "rust": """impl Bucket {
    /// Returns after how many milliseconds `amount` fits; `None` where it never does.
    pub fn fits_after(&self, now: Millis, amount: u64) -> Option<Millis> {
        let missing = amount.checked_sub(self.level(now))?;
        let per_ms = self.rate.get() as f64 / 1_000.0;
        (amount <= self.capacity).then(|| (missing as f64 / per_ms).ceil() as Millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_bucket_waits() {
        let bucket = Bucket::new(NonZeroU64::new(60).unwrap(), 60);
        assert_eq!(bucket.fits_after(0, 60), Some(0));
    }
}
""",
    "javascript": """export async function retry(fn, { attempts = 5, baseMs = 200 } = {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await fn();
    } catch (error) {
      const retryAfter = Number(error?.headers?.["retry-after"]) * 1000;
      if (attempt >= attempts || ![429, 503, 529].includes(error?.status)) throw error;
      await new Promise((resolve) => setTimeout(resolve, retryAfter || baseMs * 2 ** attempt));
    }
  }
}
""",
    "sql": """SELECT a.account_id, date_trunc('minute', c.started_at) AS minute, sum(c.input_tokens + c.output_tokens) AS tokens
FROM calls AS c JOIN accounts AS a USING (account_id)
WHERE c.started_at >= now() - INTERVAL '24 hours' AND c.status <> 429
GROUP BY 1, 2 HAVING sum(c.input_tokens) > 100000 ORDER BY tokens DESC LIMIT 50;
""",
    "html": """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Status</title><link rel="stylesheet" href="/static/site.css?v=42"></head>
<body class="dark"><main id="app"><ul class="limits"><li data-limit="tpm"><span class="name">Tokens per minute</span>
<meter min="0" max="30000" value="12400"></meter></li></ul></main><script src="/static/app.min.js" defer></script></body></html>
""",
}
"""Program text."""

DATA = {
    "json": """{"id": "evt_01HZX3", "created_at": "2026-11-22T05:34:22.137Z", "user": {"name": "Ada Okafor", "email": "ada@example.com",
"roles": ["admin", "billing"]}, "items": [{"sku": "A-1009", "quantity": 3, "unit_price": 19.99}, {"sku": "B-77",
"quantity": 1, "unit_price": 240.5}], "paid": true, "coupon": null, "address": {"street": "12 Quay Road", "zip": "20457"}}""",
    "compact json": """{"model":"gpt-4o","temperature":0.2,"max_tokens":1024,"stop":["END"],"metadata":{"tenant":"t-42","trace_id":"4bf92f3577b34da6"},
"tools":[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]}""",
    "yaml": """openai:
  gpt-4o:
    requests_per_minute: 500
    tokens_per_minute: 30_000
    lanes:
      interactive: {priority: 10}
      batch: {reserve: 10%}
resources:
  anthropic-claude:
    concurrent_requests: 10
""",
    "csv": """timestamp,model,input_tokens,output_tokens,latency_ms,status
2026-11-22T05:34:22Z,gpt-4o,1180,212,2310,200
2026-11-22T05:34:23Z,gpt-4o-mini,640,98,870,200
2026-11-22T05:34:23Z,claude-sonnet-5,20480,1402,9120,429
2026-11-22T05:34:25Z,gemini-2.5-flash,310,55,640,200
""",
    "log": """2026-11-22 05:34:22,137 WARNING paceline: waited 30.0 s for openai/gpt-4o, tokens_per_minute binds (wanted 1,980, left 120)
Traceback (most recent call last):
  File "/srv/app/worker.py", line 88, in run
    answer = await client.chat.completions.create(model="gpt-4o", messages=messages)
openai.RateLimitError: Error code: 429 - {'error': {'message': 'Rate limit reached', 'type': 'tokens', 'code': 'rate_limit_exceeded'}}
""",
    "markdown": """## Installing

1. Run `pip install paceline` (Python 3.10 or later).
2. Set `PACELINE_STORE=redis://localhost:6379/0`.

| option | default | meaning |
|---|---|---|
| `timeout` | `None` | seconds in the line |
| `lane` | – | **class** of traffic |

See the [configuration](docs/configuration.md) page; issues *welcome*.
""",
    "base64": """iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCCzP8sT1Qmw0uVxJ7d5R9bKf2a
Yh3LkXoP1NnEtG6vBcCqWi8MzUeDyJsHrOq4T7fS5gk0aZxLQbV2mIuRjWnYpE9CtHdKo3Gv1FqX8UeTzPyMwNsB6lDrOiJhaWgkV5fQc7uSxEm0Z4tLjPnB""",
    "hexadecimal": """4bf92f3577b34da6a3ce929d0e0e4736 00f067aa0ba902b7 9e107d9d372bb6826bd81d3542a419d6 e4d909c290d0fb1ca068ffaddf22cbd0
da39a3ee5e6b4b0d3255bfef95601890afd80709 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12""",
    "numbers": "3.14159265 2.71828183 1.41421356 100,000 42 7 1984 65536 4294967296 0.0001 12:34:56 2026-11-22 99.9% 1e-9 -17 +49 40 123456",
    "emoji": "Great work! 🎉🎉 The build is green 🟢 and the tests pass ✅. See you tomorrow 👋🏽 — bring snacks 🍕🍩☕ and the 👩‍💻 laptop 🚀🚀",
}
"""What programs write and read."""

ALL = {**PROSE, **CODE, **DATA}
