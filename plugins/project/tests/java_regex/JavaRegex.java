import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.regex.PatternSyntaxException;

/**
 * Answers what java.util.regex makes of patterns. A line of the input is a JSON array of strings: a pattern, and the texts to try it on.
 * A line of the output is {"error": description, "index": position} or {"results": [...]}, with one result for each text:
 * {"matches": groups or null, "find": [start, end, groups] or null}. Positions count code points.
 */
public final class JavaRegex {
    private static final Pattern NAME = Pattern.compile("\\(\\?<([a-zA-Z][a-zA-Z0-9]*)>");

    public static void main(String[] arguments) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream output = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            output.print(answer(strings(line)) + "\n");
            output.flush();
        }
    }

    private static String answer(List<String> question) {
        Pattern pattern;
        try {
            pattern = Pattern.compile(question.get(0));
        } catch (PatternSyntaxException error) {
            return "{\"error\": " + quoted(error.getDescription()) + ", \"index\": " + error.getIndex() + "}";
        } catch (RuntimeException | StackOverflowError error) {
            return "{\"error\": " + quoted(error.toString()) + ", \"index\": -1}";
        }
        StringBuilder result = new StringBuilder("{\"results\": [");
        for (int number = 1; number < question.size(); number++) {
            result.append(number > 1 ? ", " : "").append(result(pattern, question.get(number)));
        }
        return result.append("]}").toString();
    }

    private static String result(Pattern pattern, String text) {
        try {
            Matcher whole = pattern.matcher(text);
            String matches = whole.matches() ? groups(whole, text) : "null";
            Matcher first = pattern.matcher(text);
            String find = "null";
            if (first.find()) {
                find = "[" + text.codePointCount(0, first.start()) + ", " + text.codePointCount(0, first.end()) + ", " + groups(first, text) + "]";
            }
            return "{\"matches\": " + matches + ", \"find\": " + find + "}";
        } catch (RuntimeException | StackOverflowError error) { // faults of Java
            return "\"fault\"";
        }
    }

    private static String groups(Matcher matcher, String text) {
        StringBuilder result = new StringBuilder("{");
        for (int number = 1; number <= matcher.groupCount(); number++) {
            result.append(number > 1 ? ", " : "").append("\"" + number + "\": ").append(quoted(matcher.group(number)));
        }
        for (String name : names(matcher.pattern().pattern())) {
            try {
                String value = quoted(matcher.group(name));
                result.append(result.length() > 1 ? ", " : "").append(quoted(name)).append(": ").append(value);
            } catch (IllegalArgumentException absent) {
                // What looks like a group is quoted.
            }
        }
        return result.append("}").toString();
    }

    private static Set<String> names(String pattern) {
        Set<String> result = new LinkedHashSet<>();
        Matcher matcher = NAME.matcher(pattern);
        while (matcher.find()) {
            result.add(matcher.group(1));
        }
        return result;
    }

    private static List<String> strings(String line) {
        List<String> result = new ArrayList<>();
        int position = line.indexOf('"');
        while (position >= 0) {
            StringBuilder text = new StringBuilder();
            for (position++; line.charAt(position) != '"'; position++) {
                char character = line.charAt(position);
                if (character == '\\') {
                    character = line.charAt(++position);
                    switch (character) {
                        case 'n': character = '\n'; break;
                        case 'r': character = '\r'; break;
                        case 't': character = '\t'; break;
                        case 'b': character = '\b'; break;
                        case 'f': character = '\f'; break;
                        case 'u':
                            character = (char) Integer.parseInt(line.substring(position + 1, position + 5), 16);
                            position += 4;
                            break;
                        default: break;
                    }
                }
                text.append(character);
            }
            result.add(text.toString());
            position = line.indexOf('"', position + 1);
        }
        return result;
    }

    private static String quoted(String text) {
        if (text == null) {
            return "null";
        }
        StringBuilder result = new StringBuilder("\"");
        for (int position = 0; position < text.length(); position++) {
            char character = text.charAt(position);
            if (character == '"' || character == '\\') {
                result.append('\\').append(character);
            } else if (character < ' ' || character > '~') {
                result.append(String.format("\\u%04x", (int) character));
            } else {
                result.append(character);
            }
        }
        return result.append('"').toString();
    }
}
