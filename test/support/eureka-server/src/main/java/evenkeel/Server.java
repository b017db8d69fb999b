package evenkeel;

import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HashMap;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.cloud.netflix.eureka.server.EnableEurekaServer;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.core.Ordered;

/**
 * Eureka servers as Spring Cloud's guide has them; with `--credentials=user:password` one wants these of everybody. The
 * standard input says which run, a command a line: `start NAME ARGUMENT…`, `stop NAME`, after which nothing of it is left;
 * each is answered by one line. A second server takes a fifth of the time that the first one took,
 * since the virtual machine is warm by then. All end with the input.
 */
@SpringBootApplication
@EnableEurekaServer
public class Server {
  public static void main(String[] args) throws Exception {
    var servers = new HashMap<String, ConfigurableApplicationContext>();
    var input = new BufferedReader(new InputStreamReader(System.in));
    for (var line = input.readLine(); line != null; line = input.readLine()) {
      var words = line.split(" ", 3);
      try {
        if (words[0].equals("start")) servers.put(words[1], SpringApplication.run(Server.class, words[2].split(" ")));
        else servers.remove(words[1]).close();
        System.out.println("ok");
      } catch (Exception error) {
        System.out.println("failed: " + error);
      }
    }
    Runtime.getRuntime().halt(0);
  }

  @Bean
  FilterRegistrationBean<Filter> basicAuth(@Value("${credentials:}") String credentials) {
    var expected = "Basic " + Base64.getEncoder().encodeToString(credentials.getBytes(StandardCharsets.UTF_8));
    var registration = new FilterRegistrationBean<Filter>((request, response, chain) -> {
      var given = ((HttpServletRequest) request).getHeader("authorization");
      if (credentials.isEmpty() || expected.equals(given)) chain.doFilter(request, response);
      else ((HttpServletResponse) response).sendError(401, "not with " + given);
    });
    // Eureka's own API is a filter too.
    registration.setOrder(Ordered.HIGHEST_PRECEDENCE);
    return registration;
  }
}
