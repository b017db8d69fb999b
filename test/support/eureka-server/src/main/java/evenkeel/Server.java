package evenkeel;

import jakarta.servlet.Filter;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.cloud.netflix.eureka.server.EnableEurekaServer;
import org.springframework.context.annotation.Bean;
import org.springframework.core.Ordered;

/** A Eureka server as Spring Cloud's guide has it; with `--credentials=user:password` it wants these of everybody. */
@SpringBootApplication
@EnableEurekaServer
public class Server {
  public static void main(String[] args) {
    SpringApplication.run(Server.class, args);
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
