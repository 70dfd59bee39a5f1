// Generated from Go's package unicode: go -C test/oracle run . tables > src/protocol/unicode-tables.ts

/** The Unicode version that the go command judges names by; a JavaScript engine has its own, mostly a newer one. */
export const UNICODE_VERSION = '15.0.0';

/** Ranges of category L*: for each, in base 36, the gap since the end of the last and the length. */
export const LETTER_RANGES: string = [
  '1t q 6 q 1b 1 a 1 4 1 5 n 1 v 1 cq 4 c e 5 7 1 1 1 3l 5 1 2 2 4 1 1 6 1 1 3 1 1 1 k 1 2b 1 3v 8 4m 1 12 2 1 6 15 1z r 4 4 19 17 z',
  '2 1 2r 1 1 f 2 7 2 a 3 2 1 g 1 1 u t 2h b 1 o x 9 2 4 1 5 m 4 1 9 1 3 1 n p 7 b 5 o 1 6 h 16 1m 1i 3 1 i 1 7 a f g 4 8 2 2 2 m 1 7',
  '1 1 3 4 3 1 g 1 d 2 1 3 e 2 a 1 8 6 4 2 2 m 1 7 1 2 1 2 1 2 v 4 1 1 j 3 g 9 1 3 1 m 1 7 1 2 1 5 3 1 i 1 f 2 n 1 b 8 2 2 2 m 1 7 1',
  '2 1 5 3 1 u 2 1 3 f 1 h 1 1 6 3 3 1 4 3 2 1 1 1 2 3 2 3 3 3 c m 1 1g 8 1 3 1 n 1 g 3 1 q 3 2 1 2 2 u 1 4 8 1 3 1 n 1 a 1 5 3 1 v 2',
  '1 2 f 2 h 9 1 3 1 15 2 1 g 1 5 3 8 3 o 6 5 i 3 o 1 9 1 1 2 7 1m 1c 1 2 c 7 1m 2 1 1 1 5 1 o 1 1 1 a 1 2 9 1 2 5 1 1 l 4 w 1 1r 8 1',
  '10 r 5 37 17 k 1 g 6 4 4 3 1 3 2 7 3 4 d c 1 h 12 1 1 5 1 2 17 1 99 1 4 2 7 1 1 1 4 2 15 1 4 2 x 1 4 2 7 1 1 1 4 2 f 1 1l 1 4 2 1v',
  '11 g g 2e 2 6 3 h8 2 h 1 q 5 23 6 8 7 i d j e i e d 1 3 f 1g z 1 4 1 1v 2h 7 5 2 y 1 1 5 1y a v 1d u 2 5 b 18 4 q 1i n 9 1h 2a 1',
  '2l 1b h 8 1i u d 2 a 18 q 10 15 3 a 10 2 9 7 17 2 3 15 4 1 6 1 2 3 1 5 5c 1s 7q 2 6 2 12 2 6 2 8 1 1 1 1 1 1 1 v 2 1h 1 7 1 1 3 3',
  '1 7 3 4 2 6 4 d 5 3 1 7 38 1 d 1 g d 2t 1 4 1 2 a 1 1 3 5 6 1 1 1 1 1 1 4 1 b 2 4 5 5 4 1 1g 2 22j 6d 6 4 3 2 c 12 1 1 5 1 2 1k 7',
  '1 g n 9 7 1 7 1 7 1 7 1 7 1 7 1 7 1 7 28 1 d1 2 16 5 5 2 4 2e 6 3 1 2i 1 4 5 17 1 2m h w 1c g e8 534 1s h3h 1v 1a 2 7h 3 g a 2 k',
  '1b g v 2 1y 1d 9 2 2v 2 1s 5 2 1 1 1 5 o g 1 3 1 4 1 n t 1g e 1e 1q 6 3 1 1 2 b s a n p t 7 1b s 1 g 5 1 a a 5 1 15 n 3 1 8 k n 3',
  '1 3 1e 1 1 3 2 2 5 2 1 1 1 o 3 2 b 7 3 c 6 2 6 2 6 9 7 1 7 1 17 1 e 6 37 t 8mc c n 4 1d 6is a6 2 2y 12 7 c 5 5 1 1 a 1 d 1 5 1 1 1',
  '2 1 2 1 30 x a3 i 1s 2 1i 14 c 38 5 1 3r 10 q 6 q b 2h 3 6 2 6 2 6 2 3 z c 1 q 1 j 1 2 1 f 2 e y 3f at t 3 1d 1b w d k 1 8 6 12 a',
  'u 2 10 4 8 1c 4e i 10 4 10 4 14 8 1g c b 1 f 1 7 1 2 1 b 1 f 1 7 1 2 1v 8n 9 m a 8 o 6 1 16 1 9 1x 6 2 1 1 18 1 2 3 1 2 n a n 9 v',
  '1t j 1 2 a m a q 1y 1k 6 2 1s 1 f 4 1 3 1 t 16 t 3 t z 8 1 s r 1i a m a j d i 32 21 1j 1f d 1f d 10 9o 16 6 2 26 t a 1 8 m 16 i 1a',
  'l r n c 1h 1l 2 2 1 d 19 w p q 10 t 1 2 1 8 z 3 1 c 1c e 4 l 1 1 1 z i 1 p j 2 1r 7 1 1 1 4 1 f 1 a 7 1b 12 8 2 2 2 m 1 7 1 2 1 5',
  '3 1 i 1 c 5 4e 1h i 4 k 3 u 1c k 2 1 1 54 1b 15 4 10 1c k 1 1n 17 d 1 1z r 11 7 55 18 38 1s v 8 2 1 2 8 1 2 1 o f 1 1 1 2m 8 2 13',
  'g 1 1 1 s 1 a 14 7 1 l 1 b 1a j 1 i 21 7b 9 1 11 h 1 1d u 34 7 1 2 1 12 l 1 p 6 1 2 1 w e 1 93 j f 1 1 d 1 y 3g 1 27 pm 6e 5g 218',
  '2p f ts h 6 33t g7 6nt ft 7 v h 27 h u i 1c g 4 v l 5 j j4 1s 3k 23 5 1 1u d 1s 2 1 1 s 4qg 8 ye 16 9 6w7 4 1 7 1 2 1 83 f 1 t 3 2',
  '1 e 4 8 b0 1s4 2z 5 d 3 9 7 a 4me 2d 1 1z 1 2 2 1 2 2 2 4 1 c 1 1 1 7 1 1t 1 4 2 8 1 7 1 s 1 4 1 5 1 1 3 7 1 9g 2 p 1 p 1 v 1 p 1',
  'v 1 p 1 v 1 p 1 v 1 p 1 8 1f8 v 6 6 79 1q 42 19 a 7 g 1 8x u i 18 dg s l0 7 1 4 1 2 1 f 1 5h 1n 1w 7 1 xg 4 1 r 1 2 1 1 2 1 1 a 1',
  '4 1 1 1 1 6 1 4 1 1 1 1 1 1 3 1 2 1 1 2 1 1 1 1 1 1 1 1 1 1 2 1 1 2 4 1 7 1 4 1 4 1 1 1 a 1 h 5 3 1 5 1 h 3es wyo w 37e 6 66 2 4g2',
  'e 5rl 2e7 f2 15u 3t7 5 38g',
].join(' ');

/**
 * Every code point that does not stand for itself under simple case folding, in runs of four base-36 numbers:
 * first code point, how many, their distance, and what to add to each to reach the one that stands for it.
 */
export const FOLD_RUNS: string = [
  '1t q 1 w 68 n 1 -w 6w 7 1 -w 75 o 2 -1 8j 3 2 -1 8q 8 2 -1 97 n 2 -1 ag 1 1 -3d ai 3 2 -1 an 1 1 -7g ar 2 2 -1 aw 1 1 -1 b0 1 1 -1',
  'b6 1 1 -1 bd 1 1 -1 bl 3 2 -1 bs 1 1 -1 bx 1 1 -1 c0 1 1 -1 c4 2 2 -1 c9 1 1 -1 cd 1 1 -1 cl 1 1 -1 cm 1 1 -2 co 1 1 -1 cp 1 1 -2',
  'cr 1 1 -1 cs 1 1 -2 cu 8 2 -1 d9 1 1 -27 db 9 2 -1 du 1 1 -1 dv 1 1 -2 dx 1 1 -1 dy 1 1 -2p dz 1 1 -1k e1 k 2 -1 f4 1 1 -3m f7 9 2',
  '-1 fw 1 1 -1 fx 1 1 -4j g2 1 1 -1 g3 1 1 -5f g7 5 2 -1 gj 1 1 -5u gk 1 1 -5q gm 2 1 -5p gp 1 1 -5m gr 1 1 -5n gw 1 1 -5p gz 1 1',
  '-5r h4 1 1 -5t h5 1 1 -5v hb 1 1 -5v he 1 1 -5x hh 1 1 -5y hs 1 1 -62 hv 1 1 -62 i0 1 1 -62 i1 1 1 -1x i2 2 1 -61 i4 1 1 -1z ia 1',
  '1 -63 oh 2 2 -1 on 1 1 -1 pl 1 1 -2c po 1 1 -kn q4 1 1 -12 q5 3 1 -11 q9 8 1 -w qh 1 1 -38 qi 2 1 -w qk 1 1 -lj ql 5 1 -w qq 1 1',
  '-v qr 9 1 -w r0 1 1 -1s r1 2 1 -1r r4 1 1 -1q r5 1 1 -1l r9 1 1 -1b ra 1 1 -1i rb 1 1 -8 rd c 2 -1 s0 1 1 -2e s1 1 1 -28 s3 1 1',
  '-38 s4 1 1 -2k s5 1 1 -2o s8 1 1 -1 s9 1 1 -7 sb 1 1 -1 sd 3 1 -3m ts w 1 -w uo g 1 -28 v5 h 2 -1 wb r 2 -1 xu 7 2 -1 y7 1 1 -f y9',
  '1c 2 -1 129 12 1 -1c 3y0 6 1 -8 5mo 1 1 -4tq 5mp 1 1 -4tp 5mq 1 1 -4tg 5mr 2 1 -4te 5mt 1 1 -4tf 5mu 1 1 -4t8 5mv 1 1 -4rp 5n4 17',
  '1 -2bk 5od 3 1 -2bk 5xd 23 2 -1 61n 1 1 -1n 61q 1 1 -5vj 61t 1c 2 -1 64o 8 1 -8 654 6 1 -8 65k 8 1 -8 660 8 1 -8 66g 6 1 -8 66x 4',
  '2 -8 67c 8 1 -8 688 8 1 -8 68o 8 1 -8 694 8 1 -8 69k 2 1 -8 69m 2 1 -22 69o 1 1 -9 69q 1 1 -5mh 6a0 4 1 -2e 6a4 1 1 -9 6ag 2 1 -8',
  '6ai 2 1 -2s 6aw 2 1 -8 6ay 2 1 -34 6b0 1 1 -7 6bc 2 1 -3k 6be 2 1 -3i 6bg 1 1 -9 6jq 1 1 -5tp 6ju 1 1 -6gv 6jv 1 1 -6ee 6ku 1 1 -s',
  '6ls g 1 -g 6mc 1 1 -1 79s q 1 -q 8q8 1c 1 -1c 8rl 1 1 -1 8rm 1 1 -8af 8rn 1 1 -2xy 8ro 1 1 -89z 8rp 1 1 -8bv 8rq 1 1 -8bs 8rs 3 2',
  '-1 8rx 1 1 -8bg 8ry 1 1 -8al 8rz 1 1 -8bj 8s0 1 1 -8bi 8s3 1 1 -1 8s6 1 1 -1 8se 2 1 -8cf 8sh 1e 2 -1 8vg 2 2 -1 8vn 1 1 -1 8w0 12',
  '1 -5ls 8x3 1 1 -5ls 8x9 1 1 -5ls wu9 5 2 -1 wui 1 1 -r7m wuj 1 1 -r7n wul h 2 -1 ww1 e 2 -1 x0j 7 2 -1 x0z v 2 -1 x2y 2 2 -1 x31 1',
  '1 -r9g x33 5 2 -1 x3g 1 1 -1 x3h 1 1 -wmg x3l 2 2 -1 x3r a 2 -1 x4a 1 1 -wn8 x4b 1 1 -wnj x4c 1 1 -wnf x4d 1 1 -wn5 x4e 1 1 -wn8',
  'x4g 1 1 -wlu x4h 1 1 -wmi x4i 1 1 -wlx x4l 8 2 -1 x50 1 1 -1c x51 1 1 -wn7 x52 1 1 -raw x54 2 2 -1 x5d 1 1 -1 x5j 2 2 -1 x6e 1 1',
  '-1 xub 1 1 -ps xv4 28 1 -tzk 1ef5 q 1 -w 1fe0 14 1 -14 1fiw 10 1 -14 1fo7 b 1 -13 1foj f 1 -13 1foz 7 1 -13 1fp7 2 1 -13 1h34 1f 1',
  '-1s 1jgg w 1 -w 20dc w 1 -w 2oma y 1 -y',
].join(' ');
