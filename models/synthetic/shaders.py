# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: E501 - GLSL reads better in long lines
"""GLSL: one surface shader with procedural materials, one shadow map, linear HDR output; and a plain identity pass."""

VERTEX = """#version 330
invariant gl_Position;
in vec3 p; in vec3 n; in vec3 c; in float m; in vec3 r;
uniform mat4 view_projection; uniform mat4 light_projection;
out vec3 world, normal, colour, rest; out vec4 lit; flat out float kind;
void main(){
  world = p; normal = n; colour = c; rest = r; kind = m;
  lit = light_projection * vec4(p, 1); gl_Position = view_projection * vec4(p, 1);
}"""

# llvmpipe runs every branch of a shader, so each group of materials has a program of its own.
GROUPS = ("SOFT", "FLOOR", "WALL", "FAR")
GROUP_OF = {
    "plain": "SOFT",
    "cloth": "SOFT",
    "stripes": "SOFT",
    "check": "SOFT",
    "hair": "SOFT",
    "skin": "SOFT",
    "denim": "SOFT",
    "print": "SOFT",
    "tiles": "FLOOR",
    "plaster": "WALL",
    "shelf": "WALL",
    "glow": "FAR",
    "planks": "FLOOR",
    "carpet": "FLOOR",
    "concrete": "FLOOR",
    "panorama": "FAR",
    "poster": "WALL",
    "metal": "WALL",
    "leaves": "WALL",
    "grass": "FLOOR",
    "brick": "WALL",
    "canvas": "WALL",
    "panofloor": "FLOOR",
}

FRAGMENT = """#version 330
#define GROUP_NAME 1
in vec3 world, normal, colour, rest; in vec4 lit; flat in float kind;
uniform vec3 eye, key_direction, key_colour, door_direction, door_colour, up_light, down_light, pano_centre;
uniform float seed, pano_turn, pano_gain, key_soft, person, shadow_floor;
uniform sampler2D shadow_map, noise_map, panorama;
uniform vec4 feet[40]; uniform int feet_count;
out vec4 result;
float noise(vec3 q){ return texture(noise_map, (q.xy + q.z * vec2(1.37, 2.11) + seed * 7.0) / 64.0).r; }
float fbm(vec3 q){ return 0.58 * noise(q) + 0.42 * noise(q * 2.7); }
float cell(vec3 q){ return fract(sin(dot(q, vec3(127.1, 311.7, 74.7)) + seed) * 43758.5453); }
vec3 look(vec3 d){
  float a = atan(d.y, d.x) + pano_turn;
  return textureLod(panorama, vec2(a / 6.2831853 + 0.5, acos(clamp(d.z, -1.0, 1.0)) / 3.14159265), 0.0).rgb * pano_gain;
}
float shade(){
  vec3 q = lit.xyz / lit.w * 0.5 + 0.5;
  float s = 0.0; vec2 size = key_soft / vec2(textureSize(shadow_map, 0));
#ifdef FLOOR
  for (int i = -1; i <= 1; i++) for (int j = -1; j <= 1; j++)
    s += step(q.z - 0.003, texture(shadow_map, q.xy + vec2(float(i) * 1.5 + 0.4 * float(j), float(j) * 1.5 - 0.4 * float(i)) * size).r);
  s /= 9.0;
#else
  for (int i = 0; i <= 1; i++) for (int j = 0; j <= 1; j++)
    s += step(q.z - 0.004, texture(shadow_map, q.xy + (vec2(float(i), float(j)) - 0.5) * 2.0 * size).r);
  s /= 4.0;
#endif
  return any(greaterThan(abs(q - 0.5), vec3(0.5))) ? 1.0 : s;
}
float contact(){
  float open = 1.0;
  for (int i = 0; i < feet_count; i++) {
    vec2 d = (world.xy - feet[i].xy) / feet[i].z;
    open *= 1.0 - 0.6 * exp(-dot(d, d) * 1.6);
  }
  return open;
}
void main(){
  int k = int(kind + 0.5);
  vec3 a = colour;
#ifdef FAR
  result = vec4(k == 11 ? a : look(normalize(world - pano_centre)) * a, 1);
#else
  vec3 N = normalize(normal + vec3(1e-5)); vec3 V = normalize(eye - world);
  if (dot(N, V) < 0.0) N = -N;
  float shine = 0.02, open = 1.0;
#ifdef SOFT
  float f = fbm(rest * vec3(11, 11, 8));
  if (k == 4) { a *= 0.55 + 0.9 * noise(vec3(rest.xy * 150.0, rest.z * 18.0)); shine = 0.05; }
  else if (k == 5) { shine = 0.05; a *= 0.93 + 0.14 * f; }
  else if (k > 0) {
    N = normalize(N + 0.5 * (vec3(f, noise(rest * 13.0 + 9.0), noise(rest * 10.0 + 4.0)) - 0.5));
    a *= 0.78 + 0.44 * f;
    float wide = 9.0 + 8.0 * fract(seed);
    if (k == 2) a *= mix(0.5, 1.25, step(0.5, fract(rest.z * wide)));
    if (k == 3) a *= mix(0.62, 1.12, 0.5 * step(0.5, fract(rest.z * wide)) + 0.5 * step(0.5, fract(rest.x * wide)));
    if (k == 6) a *= 0.8 + 0.45 * noise(rest * vec3(9, 9, 3));
    if (k == 7) a = mix(a, vec3(0.62) - a * 0.5, step(0.56, fbm(rest * 7.0 + 3.0)) * step(abs(rest.x), 0.12) * step(rest.y, 0.0));
  }
  open = mix(1.0, mix(0.6, 1.0, clamp(world.z / 0.9, 0.0, 1.0)), person);
#endif
#ifdef FLOOR
  float rough = noise(world * 37.0), cloud = noise(world * 1.3);
  if (k == 8) {
    vec2 t = world.xy / (0.3 + 0.5 * cell(vec3(1.0))); vec2 g = abs(fract(t) - 0.5); float e = smoothstep(0.475, 0.497, max(g.x, g.y));
    a *= 0.82 + 0.2 * cell(vec3(floor(t), 1.0)) + 0.2 * (cloud - 0.5) + 0.1 * (rough - 0.5);
    a = mix(a, a * 0.6, e); shine = 0.07;
  } else if (k == 12) { float row = floor(world.x / 0.11); float piece = floor(world.y / 1.1 + cell(vec3(row, 3.0, 1.0)));
    a *= 0.75 + 0.35 * cell(vec3(row, piece, 2.0)) + 0.25 * (noise(vec3(world.x * 40.0, world.y * 4.0, 1.0)) - 0.5);
    a *= 1.0 - 0.3 * step(0.95, fract(world.x / 0.11)); shine = 0.08;
  } else if (k == 13) { a *= 0.75 + 0.35 * rough + 0.15 * cloud; a *= 1.0 + 0.25 * (step(0.5, fract(world.x * 0.8)) - 0.5) * step(0.5, cell(vec3(2.0)));
  } else if (k == 14) { a *= 0.78 + 0.3 * cloud + 0.22 * (rough - 0.3); a *= 1.0 - 0.2 * smoothstep(0.62, 0.7, noise(world * 0.6 + 5.0)); shine = 0.03;
  } else if (k == 19) a *= 0.5 + 0.8 * rough * (0.6 + 0.6 * cloud);
  open = contact();
#endif
#ifdef WALL
  if (k == 9) a *= 0.9 + 0.14 * noise(world * 1.7) + 0.05 * (noise(world * 60.0) - 0.5);
  if (k == 10) {
    vec3 q = vec3(floor(rest.xy * 7.0), floor(rest.z * 3.4));
    a *= (0.35 + 0.9 * cell(q)) * vec3(0.8 + 0.4 * cell(q + 5.0), 1.0, 0.8 + 0.4 * cell(q + 9.0));
    if (fract(rest.z * 3.4) < 0.12) a = vec3(0.3, 0.28, 0.26);
  }
  if (k == 16) { vec2 q = floor(rest.xz * 7.0); float pick = cell(vec3(q, 4.0));
    float words = step(0.45, fract(rest.z * 26.0)) * step(0.4, noise(vec3(rest.x * 60.0, floor(rest.z * 26.0), 2.0)));
    vec3 patch_colour = mix(vec3(0.15), a * vec3(cell(vec3(q, 1.0)), cell(vec3(q, 2.0)), cell(vec3(q, 3.0))), 0.8);
    a = mix(a, pick > 0.4 ? mix(a, vec3(0.06), words * 0.8) : patch_colour, pick > 0.4 ? 1.0 : step(0.2, pick)); }
  if (k == 17) { shine = 0.25; a *= 0.9 + 0.2 * noise(rest * vec3(50, 50, 4)); }
  if (k == 18) a *= 0.35 + 1.1 * fbm(world * 14.0);
  if (k == 20) { vec2 q = vec2(rest.x + rest.y, rest.z) / vec2(0.22, 0.07); q.x += 0.5 * mod(floor(q.y), 2.0); vec2 g = abs(fract(q) - 0.5);
    a *= 0.75 + 0.4 * cell(vec3(floor(q), 3.0)); a = mix(a, vec3(0.5, 0.48, 0.45), min(step(0.46, g.x) + step(0.42, g.y), 1.0)); }
  if (k == 21) { a *= 0.85 + 0.3 * noise(world * vec3(1.5, 1.5, 6.0)); a += 0.05 * up_light; }
#endif
  float sun = shade();
#ifdef FLOOR
  if (k == 22) {
    result = vec4(look(normalize(world - pano_centre)) * a * mix(shadow_floor, 1.0, sun) * open, 1); return;
  }
#endif
  vec3 ambient = mix(down_light, up_light, 0.5 + 0.5 * N.z) * open;
  float grazing = max(dot(N, key_direction), 0.0);
  float wrap = max((dot(N, door_direction) + 0.35) / 1.35, 0.0);
  vec3 light = ambient + key_colour * grazing * sun + door_colour * wrap * open;
  vec3 H = normalize(key_direction + V); vec3 H2 = normalize(door_direction + V);
  float sheen = pow(1.0 - max(dot(N, V), 0.0), 4.0);
  vec3 lit_colour = a * light + key_colour * (pow(max(dot(N, H), 0.0), 28.0) * sun * shine * 5.0);
  lit_colour += door_colour * (pow(max(dot(N, H2), 0.0), 20.0) * shine * 4.0 + sheen * 0.8 * shine * wrap);
#ifdef FLOOR
  if (shine > 0.025) lit_colour += door_colour * 0.22 * sheen * open;
#endif
  result = vec4(lit_colour, 1);
#endif
}"""


def fragment_shader(group: str) -> str:
    """The fragment shader of one of GROUPS."""
    return FRAGMENT.replace("GROUP_NAME", group)


PLAIN_VERTEX = """#version 330
invariant gl_Position;
in vec3 p; uniform mat4 view_projection;
void main(){ gl_Position = view_projection * vec4(p, 1); }"""

PLAIN_FRAGMENT = """#version 330
uniform float number; out float result;
void main(){ result = number; }"""
