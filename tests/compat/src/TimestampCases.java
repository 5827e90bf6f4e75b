import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TimeZone;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.sink.SinkRecord;

/** TimestampConverter, TimestampRouter, and SimpleDateFormat itself. */
final class TimestampCases {
    private static final Recorder RECORDER = new Recorder("org.apache.kafka.connect.transforms.");
    private static final long[] INSTANTS = {
        0, 1, -1, 999, -86_400_000L, 1_700_000_000_123L, 951_827_696_789L /* 2000-02-29 */, 1_709_164_800_000L /* 2024-02-29 */, 4_107_542_400_000L /* 2100-03-01 */,
        -2_208_988_800_001L /* 1899 */, -12_219_292_800_000L /* the first day of the Gregorian calendar */, -12_219_292_800_001L, -12_220_000_000_000L, -62_135_596_800_000L,
        -62_167_219_200_001L /* BC */, -99_999_999_999_999L, 253_402_300_799_999L /* 9999 */, 253_402_300_800_000L, 999_999_999_999_999L, 1_672_531_199_000L /* 2022-12-31 */,
        1_672_531_200_000L /* a Sunday */, 1_703_980_800_000L /* 2023-12-31, a Sunday */, 43_200_000L, 46_800_000L, 39_600_000L, 1_735_603_200_000L
    };

    static List<ObjectNode> transforms() {
        converter();
        router();
        return RECORDER.cases;
    }

    private static SinkRecord value(Schema schema, Object value) {
        return Recorder.sink("t", null, null, schema, value);
    }

    private static void converter() {
        String[] targets = {"string", "unix", "Date", "Time", "Timestamp"};
        for (String target : targets) {
            for (String precision : List.of("milliseconds", "seconds", "microseconds", "nanoseconds")) {
                Map<String, String> config = new HashMap<>(Map.of("target.type", target, "format", "yyyy-MM-dd HH:mm:ss.SSS", "unix.precision", precision));
                for (long instant : new long[] {0, -1, 1_700_000_000_123L, -12_345_678_901_234L, Long.MAX_VALUE / 1000, 1_000_000_007}) {
                    // Connect's Date is a number of 32 bits here.
                    if (target.equals("Date") && precision.equals("seconds") && instant == Long.MAX_VALUE / 1000) continue;
                    RECORDER.run("TimestampConverter$Value", config, value(null, instant), value(Schema.INT64_SCHEMA, instant), value(Schema.OPTIONAL_INT64_SCHEMA, instant));
                }
                for (long instant : new long[] {0, -1, 1_700_000_000_123L, -12_345_678_901_234L}) {
                    RECORDER.run("TimestampConverter$Value", config, value(null, new Date(instant)), value(Fixtures.TIMESTAMP, new Date(instant)));
                }
                RECORDER.run("TimestampConverter$Value", config,
                    value(Fixtures.DATE, new Date(86_400_000L * 12_345)), value(Fixtures.TIME, new Date(45_296_789)), value(Schema.STRING_SCHEMA, "2024-02-29 12:34:56.789 rest"),
                    value(null, "2024-02-30 25:61:61.1000"), value(null, "nonsense"), value(Schema.STRING_SCHEMA, ""), value(null, 5), value(Schema.INT32_SCHEMA, 5), value(null, null),
                    value(Schema.OPTIONAL_STRING_SCHEMA, null), value(Fixtures.TIMESTAMP, null), value(null, true), value(Schema.INT32_SCHEMA, null), value(null, new HashMap<>(Map.of("a", 1L))));
            }
        }
        Schema row = SchemaBuilder.struct().optional().name("Row").version(1).field("id", Schema.INT32_SCHEMA).field("unix", Schema.OPTIONAL_INT64_SCHEMA).field("text", Schema.STRING_SCHEMA)
            .field("ts", SchemaBuilder.int64().name("org.apache.kafka.connect.data.Timestamp").version(1).optional().build())
            .field("default", SchemaBuilder.int64().optional().defaultValue(1000L).build()).field("date", Fixtures.DATE).build();
        Struct full = new Struct(row).put("id", 1).put("unix", 1_700_000_000_123L).put("text", "2024-05-06").put("ts", new Date(5)).put("date", new Date(0));
        Map<String, Object> map = new HashMap<>();
        map.put("unix", 1_700_000_000_123L);
        map.put("text", "2024-05-06");
        map.put("ts", new Date(7));
        map.put("id", 1);
        map.put("null", null);
        for (String target : targets) {
            for (String field : List.of("id", "unix", "text", "ts", "default", "date", "missing", "null")) {
                for (String replace : List.of("true", "false")) {
                    Map<String, String> config = Map.of("target.type", target, "format", "yyyy-MM-dd", "field", field, "replace.null.with.default", replace);
                    RECORDER.run("TimestampConverter$Value", config, List.of(value(row, full), value(row, null), value(null, map), value(null, null), value(null, "x"), value(Schema.STRING_SCHEMA, "x")));
                    RECORDER.run("TimestampConverter$Key", config, List.of(Recorder.sink("t", row, full, null, null), Recorder.sink("t", null, map, null, null)));
                }
            }
        }
        for (Map<String, String> config : List.of(
                Map.<String, String>of(), Map.of("target.type", "String"), Map.of("target.type", "string"), Map.of("target.type", "string", "format", " "), Map.of("target.type", "string", "format", "bad'"),
                Map.of("target.type", "string", "format", "jj"), Map.of("target.type", "unix", "format", "XXXX"), Map.of("target.type", "unix", "unix.precision", "days"), Map.of("target.type", "unix", "unix.precision", ""),
                Map.of("target.type", "unix"), Map.of("target.type", "Timestamp"), Map.of("target.type", "unix", "format", "EEE, d MMM yyyy HH:mm:ss Z"))) {
            RECORDER.run("TimestampConverter$Value", config, value(null, 5L), value(null, "Mon, 6 May 2024 07:08:09 +0200"), value(Fixtures.TIMESTAMP, new Date(9)));
        }
    }

    private static void router() {
        for (Map<String, String> config : List.of(
                Map.<String, String>of(), Map.of("topic.format", "${timestamp}_${topic}_${topic}"), Map.of("topic.format", "fixed"), Map.of("timestamp.format", "yyyy-MM-dd'T'HH"),
                Map.of("topic.format", "$topic-{timestamp}"), Map.of("topic.format", ""), Map.of("timestamp.format", ""), Map.of("topic.format", "a${timestamp}", "timestamp.format", "'${topic}'yyyy"))) {
            for (String topic : List.of("t", "a$1\\", "${timestamp}")) {
                RECORDER.run("TimestampRouter", config, List.of(
                    new SinkRecord(topic, 4, null, null, null, "v", 99, 1_700_000_000_123L, TimestampType.CREATE_TIME),
                    new SinkRecord(topic, 4, null, null, null, "v", 99, -1L, TimestampType.CREATE_TIME),
                    new SinkRecord(topic, 4, null, null, null, "v", 99, -1L, TimestampType.CREATE_TIME)));
            }
        }
    }

    /** For each pattern the texts of instants, and the instants of texts. */
    static List<ObjectNode> formats() {
        List<ObjectNode> cases = new ArrayList<>();
        List<String> patterns = new ArrayList<>(List.of(
            "yyyyMMdd", "yyyy-MM-dd", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd'T'HH:mm:ss.SSSZ", "yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "yyyy-MM-dd'T'HH:mm:ssX", "yyyy-MM-dd'T'HH:mm:ss'Z'",
            "EEE, d MMM yyyy HH:mm:ss Z", "EEEE d MMMM yyyy", "yy-M-d", "y", "yyy", "yyyyy", "Y-w-u", "YYYY-'W'ww-u", "YY", "D yyyy", "yyyyDDD", "F E MMM yyyy", "W M yyyy", "W E MMM yyyy", "w yyyy", "w E yyyy",
            "hh:mm a", "h a", "K a", "kk:mm", "k", "H", "HHmmssSSS", "S", "SS", "SSSSSS", "s.S", "G yyyy", "GGGG y", "LLL", "LLLL", "L", "LL yyyy", "MM", "MMMMM", "z", "zzzz", "Z", "X", "XX", "XXX", "yyyyMMddHHmmssSSS",
            "''yyyy''", "'o''clock' h", "yyyy 'year'", "", " ", "yyyy  MM", "E", "u", "d", "dd/MM/yyyy", "MM/dd/yy", "yyyy.MM.dd G 'at' HH:mm:ss z", "hh 'o''clock' a, zzzz", "a h", "EEEEE", "ü yyyy", "yyyyy.MMMMM.dd GGG hh:mm aaa",
            "jj", "b", "yyyy-MM-dd'T", "XXXX", "A", "n", "c", "Q", "U", "'", "'''", "yyyy-MM-dd\\HH", "HH:mm:ss.SSS", "dMMMyyyy", "yyyyMMMdd", "u Y w", "E Y w", "D", "F", "W", "w", "G", "a", "m", "Y", "YYYYMMdd"));
        Random random = new Random(79);
        String letters = "GyMwWDdFEuaHkKhmsSzZXYL";
        for (int i = 0; i < 60 * Fixtures.times; i++) {
            StringBuilder pattern = new StringBuilder();
            int parts = 1 + random.below(6);
            for (int part = 0; part < parts; part++) {
                String letter = String.valueOf(letters.charAt(random.below(letters.length())));
                pattern.append(letter.repeat(1 + random.below(letter.equals("X") ? 3 : 5)));
                if (random.chance(70)) pattern.append(new String[] {" ", "-", "/", ":", "'T'", ".", ", "}[random.below(7)]);
            }
            patterns.add(pattern.toString());
        }
        List<String> texts = List.of(
            "20240229", "2024-02-29", "2023-02-29", "2024-13-45", "2024-02-29 25:61:61", "-5-1-1", "2024-2-9", "24-2-9", "99-12-31", "0001-01-01", "1582-10-10", "1582-10-04", "1500-02-29", "12345-01-01", "2024-02-29T12:34:56.789+0100",
            "2024-02-29T12:34:56.789-05:30", "2024-02-29T12:34:56Z", "2024-02-29T12:34:56+01", "2024-02-29T12:34:56.789Z", "Thu, 29 Feb 2024 12:34:56 +0000", "thu, 29 february 2024 1:2:3 GMT+1:00", "12:34 PM", "12:34 am", "0 am", "13 pm",
            "24:00", "00:60", "5", " 5", "  2024", "2024 060", "2024366", "1 BC", "AD 2024", "bc 5", "PST", "UTC", "GMT", "EST", "+0100", "+01:00", "-1", "", "x", "2024 year", "'2024'", "7 Tue", "2 Tue Feb 2024", "5 Feb 2024",
            "53 2024", "1 Sunday 2024", "2024-W01-1", "2024-1-8", "2024-1-0", "-3 Mon Feb 2024", "2024.02.29 AD at 12:34:56 CET", "3 o'clock PM, UTC", "Jan", "september", "Monday", "240229", "2024-02-29extra", "12:34:56.7");
        for (String pattern : patterns) {
            ObjectNode node = Fixtures.JSON.objectNode().put("pattern", pattern);
            cases.add(Fixtures.attempt(node, result -> {
                SimpleDateFormat format = new SimpleDateFormat(pattern);
                format.setTimeZone(TimeZone.getTimeZone("UTC"));
                // 1946; without it the result depends on today.
                format.set2DigitYearStart(new Date(-757_382_400_000L));
                ArrayNode formatted = result.putArray("format");
                ArrayNode parsed = result.putArray("parse");
                List<String> inputs = new ArrayList<>(texts);
                for (long instant : INSTANTS) {
                    String text = format.format(new Date(instant));
                    formatted.addArray().add(instant).add(text);
                    inputs.add(text);
                }
                for (int i = 0; i < 6; i++) {
                    long instant = random.below(2_000_000_000) * 1000L * (random.chance(50) ? 1 : -8) + random.below(1000);
                    String text = format.format(new Date(instant));
                    formatted.addArray().add(instant).add(text);
                    inputs.add(text);
                }
                java.util.Set<String> done = new java.util.HashSet<>();
                for (String text : inputs) {
                    if (!done.add(text)) continue;
                    Long instant = null;
                    try {
                        instant = format.parse(text).getTime();
                    } catch (java.text.ParseException error) {
                        // It does not match.
                    }
                    if (instant != null || texts.contains(text) && text.length() % 3 == 0) parsed.addArray().add(text).add(instant);
                }
            }));
        }
        return cases;
    }
}
