#!/bin/bash
# nginx as a static server: what web-download and the HTTP store read, and the peer for download speed.
# /NAME a file of $NGINX_ROOT, with ranges; /norange/NAME without; /slow/NAME 1 MiB a second; /redirect to /64m.bin
# /counted/NAME with a line in $NGINX_COUNTED for each request when it has ended; /counted/slow/NAME the same, 2 MiB a second
. "$(dirname "$0")/lib.sh"
one_at_a_time nginx
need nginx-light
DIR=$LAB_DIR/nginx
mkdir -p "$DIR/www" "$DIR/tmp"
[[ $(stat -c %s "$DIR/www/64m.bin" 2>/dev/null) = 67108864 ]] || head -c 64M /dev/urandom >"$DIR/www/64m.bin"
if ! alive "$DIR/server.pid"; then
  USER_LINE=''
  [[ $(id -u) != 0 ]] || USER_LINE='user root;'
  cat >"$DIR/nginx.conf" <<CONF
worker_processes 2; daemon off; pid $DIR/nginx.pid; error_log $DIR/error.log; $USER_LINE
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; default_type application/octet-stream;
  client_body_temp_path $DIR/tmp/b; proxy_temp_path $DIR/tmp/p; fastcgi_temp_path $DIR/tmp/f;
  uwsgi_temp_path $DIR/tmp/u; scgi_temp_path $DIR/tmp/s;
  server {
    listen 127.0.0.1:$(port nginx); root $DIR/www; autoindex on;
    location = /redirect { return 302 /64m.bin; }
    location /norange/ { alias $DIR/www/; max_ranges 0; }
    location /slow/ { alias $DIR/www/; limit_rate 1m; }
    location /counted/ { alias $DIR/www/; access_log $DIR/counted.log; }
    location /counted/slow/ { alias $DIR/www/; limit_rate 2m; access_log $DIR/counted.log; }
  }
}
CONF
  start nginx/server nginx -c "$DIR/nginx.conf"
fi
wait_for nginx/server 20 listening 127.0.0.1 "$(port_of nginx)"
echo "NGINX_ROOT=$DIR/www"
echo "NGINX_COUNTED=$DIR/counted.log"
echo "http://127.0.0.1:$(port_of nginx)"
